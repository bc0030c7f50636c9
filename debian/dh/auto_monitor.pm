# The debhelper sequence add-on auto-monitor: dh $@ --with auto-monitor
use warnings;
use strict;
use Debian::Debhelper::Dh_Lib;

insert_after('dh_install', 'dh_auto_monitor');

1;

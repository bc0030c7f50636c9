#!/bin/sh
# In the place of a program: keeps the name that it was called by and its arguments, each ended by a NUL, and what it reads
# from a file that an argument names for it alone; and says where, so that Nagios has it as the service's output.
record=$(mktemp "${0%/*}/../records/XXXXXXXXXXXX")
printf '%s\0' "${0##*/}" "$@" >"$record"
for argument; do
    case $argument in
    --password-file=/dev/fd/*) cat "${argument#*=}" >"$record.secret" ;;
    --extra-opts=registered@/dev/fd/*) cat "${argument#*@}" >"$record.secret" ;;
    esac
done
echo "recorded ${record##*/}"

#!/bin/sh
# In the place of a program: writes what it was given beside the link that it was called by. The arguments, each ended by
# a NUL; what the kernel shows of this process to others, its command line, its environment and its limits; and what it
# reads from a file that an argument names for it alone.
folder=${0%/*}
printf '%s\0' "$@" >"$folder/arguments"
cat /proc/$$/environ >"$folder/environment"
cat /proc/$$/cmdline >"$folder/cmdline"
cat /proc/$$/limits >"$folder/limits"
for argument; do
    case $argument in
    --*-file=*) cat "${argument#*=}" >"$folder/secret" ;;
    esac
done
echo dumped
exit 1

#!/bin/sh
# header_alone.sh HEADER LANGUAGE STANDARD COMPILER [OPTION...]
# Compiles a unit that includes the header, twice, and nothing else, as strictly as the compilers can.
set -eu
header=$1 language=$2 standard=$3 compiler=$4
shift 4
if ! command -v "$compiler" >/dev/null; then
    echo "SKIP: $compiler is not installed"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unit=$folder/unit.$language
case $header in
*sbx_plugin.h) use='const void *probe(void); const void *probe(void) { return &sbx_plugin_v1; }' ;;
*) use='const void *probe(void); const void *probe(void) { return sbx_version(); }' ;;
esac
printf '#include "%s"\n#include "%s"\n%s\n' "$header" "$header" "$use" >"$unit"
"$compiler" "-std=$standard" -Wall -Wextra -pedantic -Wshadow -Werror "$@" -c "$unit" -o "$folder/unit.o"

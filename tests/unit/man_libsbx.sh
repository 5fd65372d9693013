#!/bin/sh
# man_libsbx.sh BUILD SOURCE CC FLAGS... - libsbx(3) lists the functions that the library has, and its example compiles and runs.
build=$1
source=$2
cc=$3
shift 3
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
page=$source/docs/man/libsbx.3

nm -D --defined-only "$build/lib/libsbx.so" | sed -n 's/.* T \(sbx_[a-z_]*\)$/\1/p' | sort -u >"$work/library"
sed -n '/^\.SH FUNCTIONS/,/^\.SH EXAMPLES/p' "$page" | grep -o 'sbx_[a-z_]*' | sort -u >"$work/page"
diff "$work/library" "$work/page" || {
    echo "libsbx(3) and the library do not have the same functions"
    exit 1
}

sed -n '/^\.SH EXAMPLES/,/^\.fi/p' "$page" | grep -v '^\.' | sed 's/\\e/\\/g' >"$work/example.c"
"$cc" "$@" -Wall -Wextra -Werror -I"$source/include" "$work/example.c" -L"$build/lib" -lsbx -Wl,-rpath,"$build/lib" \
    -o "$work/example" || exit 1
mkdir -p "$work/run" "$work/state" "$work/direct"
printf '[sbx]\nplugin_path = %s\n[provider direct]\nplugin = direct\nroot = %s\n' \
    "$build/tests/unit/direct" "$work/direct" >"$work/sbx.ini"
said=$(SBX_CONFIG=$work/sbx.ini XDG_RUNTIME_DIR=$work/run XDG_STATE_HOME=$work/state "$work/example") || exit 1
case $said in
"hello from "*) ;;
*)
    echo "the example said '$said'"
    exit 1
    ;;
esac

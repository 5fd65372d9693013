#!/bin/sh
# man_pages.sh PAGE... - mandoc has nothing to warn about.
command -v mandoc >/dev/null || {
    echo "SKIP: mandoc is not installed"
    exit 77
}
[ "$#" -gt 0 ] || {
    echo "no man pages"
    exit 1
}
exec mandoc -Tlint -W warning "$@"

#!/bin/sh
# links.sh SOURCE-DIRECTORY - every relative link of our Markdown pages leads to something.
bad=0
for page in "$1"/*.md "$1"/docs/*.md "$1"/docs/*/*.md "$1"/bench/*.md; do
    [ -e "$page" ] || continue
    for link in $(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '^[a-z]*:'); do
        [ -e "$(dirname "$page")/$link" ] || {
            echo "$page links to $link, which is not there"
            bad=1
        }
    done
done
for page in "$1"/docs/decisions/*.md; do
    name=$(basename "$page")
    [ "$name" = README.md ] || grep -q "($name)" "$1/docs/decisions/README.md" || {
        echo "docs/decisions/README.md does not list $name"
        bad=1
    }
done
exit $bad

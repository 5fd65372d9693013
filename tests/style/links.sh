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
exit $bad

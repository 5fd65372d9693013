#!/bin/bash
# SPDX-License-Identifier: MIT
# images.sh HOST FOLDER: makes the images that tests use, out of files of this machine, and gives them to the daemon.
#   sbx-test/busy   busybox with every applet, users root and app; no user, entrypoint or variables of its own
#   sbx-test/user   the same with bash, perl and python3 where this machine has them, and with a user, variables, labels,
#                   an entrypoint and a working directory of its own
#   sbx-test/empty  nothing at all
set -eu
host=$1
folder=$2
root=$folder/root

rm -rf "$folder"
mkdir -p "$root"/usr/{bin,lib,lib64,sbin} "$root"/{etc,root,home/app,var/tmp}
install -d -m 1777 "$root/tmp"
for name in bin lib lib64 sbin; do
    ln -s "usr/$name" "$root/$name"
done
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
    [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
    >"$root/etc/passwd"
printf 'root:x:0:\napp:x:1000:\nextra:x:2000:app\nnogroup:x:65534:\n' >"$root/etc/group"
chown -R 0:0 "$root"
chown 1000:1000 "$root/home/app"
chmod 755 "$root"
tar -C "$root" -cf "$folder/busy.tar" .
docker -H "$host" import "$folder/busy.tar" sbx-test/busy:latest >/dev/null

# The files of a few packages, for tests whose helpers are scripts; documentation and foreign languages stay behind.
for package in libc6 libcrypt1 libtinfo6 bash perl-base libpython3.11-minimal python3.11-minimal libexpat1 zlib1g less; do
    dpkg -L "$package" 2>/dev/null || true
done | grep -E '^/(usr/)?(s?bin|lib|lib64)/' | while read -r file; do
    if [ -f "$file" ] || [ -L "$file" ]; then printf '%s\n' "${file#/}"; fi
done | sed 's,^\(s\?bin\|lib\|lib64\)/,usr/\1/,' | sort -u >"$folder/files"
tar -C / -cf - -T "$folder/files" | tar -C "$root" -xf -
rm "$root/bin/date" # busybox has no fractions of a second
cp /bin/date "$root/bin/date"
[ ! -e "$root/usr/bin/python3.11" ] || ln -sf python3.11 "$root/usr/bin/python3"
tar -C "$root" -cf "$folder/user.tar" .
docker -H "$host" import -c 'USER app' -c 'ENV COLOUR=blue PATH=/bin:/usr/bin' -c 'LABEL made.by=image' \
    -c 'ENTRYPOINT ["/bin/false"]' -c 'CMD ["never"]' -c 'WORKDIR /home/app' \
    "$folder/user.tar" sbx-test/user:latest >/dev/null
tar -cf - -T /dev/null | docker -H "$host" import - sbx-test/empty:latest >/dev/null
rm -rf "$folder"

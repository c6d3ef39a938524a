#!/bin/sh
# Makes packages for pacman, a repository of them (/srv/extra), and what is installed at first (/srv/first).
set -e
mkdir -p /srv/extra /srv/first
# make DIRECTORY NAME VERSION TAGS FILES: FILES are paths, one a line.
make() {
    root=/srv/build/$2-$3
    mkdir -p "$root"
    printf 'pkgname = %s\npkgbase = %s\npkgver = %s\npkgdesc = made\nurl = x\nbuilddate = 1700000000\npackager = x\nsize = 12\narch = any\n%b\n' \
        "$2" "$2" "$3" "$4" >"$root/.PKGINFO"
    printf '%b\n' "$5" | while read -r path; do
        mkdir -p "$root${path%/*}"
        echo "$2-$3" >"$root$path"
    done
    (cd "$root" && bsdtar -czf ".MTREE" --format=mtree --options='!all,use-set,type,uid,gid,mode,time,size,md5,sha256,link' .PKGINFO $(ls) &&
        bsdtar -c --zstd --uid 0 --gid 0 -f "/srv/$1/$2-$3-any.pkg.tar.zst" .MTREE .PKGINFO $(ls))
}
f=/usr/share/made
make first tool 1.0-1 'backup = etc/tool.conf' "$f/tool\n/etc/tool.conf"
make extra tool 1.2-1 'backup = etc/tool.conf\ndepend = newdep' "$f/tool\n/etc/tool.conf"
make extra newdep 1-1 '' "$f/newdep"
make first library 1:2.0-1 '' "$f/library"
make extra library 1:2.0-2 '' "$f/library"
make first old 1-1 '' "$f/old"
make extra replacement 3-1 'replaces = old\nconflict = old\nprovides = old=3' "$f/old"
make first kept 1-1 '' "$f/kept"
make extra kept 2-1 '' "$f/kept"
make first broken 1-1 '' "$f/broken"
make extra broken 2-1 'depend = nothing-has-this' "$f/broken"
repo-add -q /srv/extra/extra.db.tar.gz /srv/extra/*.pkg.tar.zst
# pacman asks for what is newer by the second: the next change of the repository must not fall into this one's.
touch -d '1 hour ago' /srv/extra/extra.db.tar.gz

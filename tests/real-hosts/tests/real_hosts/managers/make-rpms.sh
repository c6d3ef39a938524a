#!/bin/sh
# Makes rpm packages, a repository that says which of them are security updates (/srv/updates), one that does not
# (/srv/plain), and what is installed at first (/srv/first).
set -e
mkdir -p /srv/updates /srv/plain /srv/first
# make DIRECTORY NAME EPOCH VERSION RELEASE TAGS FILES: FILES are paths, one a line; a directive may stand before a path.
make() {
    spec=/srv/$2.spec
    {
        printf 'Name: %s\nEpoch: %s\nVersion: %s\nRelease: %s\nSummary: made\nLicense: MIT\nBuildArch: noarch\n%b\n' "$2" "$3" "$4" "$5" "$6"
        printf '%%description\nMade for a test.\n%%install\n'
        printf '%b\n' "$7" | while read -r words; do
            path=${words##* }
            printf 'mkdir -p %%{buildroot}%s; echo %s-%s >%%{buildroot}%s\n' "${path%/*}" "$2" "$4" "$path"
        done
        printf '%%files\n%b\n' "$7"
    } >"$spec"
    rpmbuild -bb --quiet --define "_rpmdir /srv/$1" --define '_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm' "$spec"
}
f=/usr/share/made
make first tool 0 1.0 1 '' "$f/tool\n%config(noreplace) /etc/tool.conf"
make updates tool 0 1.1 1 '' "$f/tool\n%config(noreplace) /etc/tool.conf"
make updates tool 0 1.2 1 'Requires: newdep' "$f/tool\n%config(noreplace) /etc/tool.conf"
make updates newdep 0 1 1 '' "$f/newdep"
make first library-with-a-name-that-is-longer-than-any-column 1 2.0 1 '' "$f/library"
make updates library-with-a-name-that-is-longer-than-any-column 1 2.0 2.el9_4.a.very.long.release.too '' "$f/library"
make first kernel-core 0 5.1 1 'Provides: installonlypkg(kernel)\nProvides: multiversion(kernel)' /lib/modules/5.1/marker
make updates kernel-core 0 5.2 1 'Provides: installonlypkg(kernel)\nProvides: multiversion(kernel)' /lib/modules/5.2/marker
make first old 0 1 1 '' "$f/old"
make updates replacement 0 3 1 'Provides: old = 3\nObsoletes: old < 3' "$f/old"
make first kept 0 1 1 '' "$f/kept"
make updates kept 0 2 1 '' "$f/kept"
make first broken 0 1 1 '' "$f/broken"
make updates broken 0 2 1 'Requires: nothing-has-this' "$f/broken"
# libzypp holds a system without it to be broken.
make first glibc 0 2 1 '' "$f/glibc"
make first plain 0 1 1 '' "$f/plain"
make plain plain 0 2 1 '' "$f/plain"
cp /srv/first/noarch/* /srv/first/*.rpm /srv/first 2>/dev/null || true
cp /srv/first/tool-* /srv/updates
advisory() { # ID TYPE SEVERITY CVE NAME VERSION RELEASE [EPOCH [MORE]]
    reference=
    [ -z "$4" ] || reference="<reference href='https://x/$4' id='$4' type='cve' title='$4'/>"
    cat <<XML
<update from="x" status="final" type="$2" version="1"><id>$1</id><title>$1</title><severity>$3</severity><issued date="2026-01-02 03:04:05"/><updated date="2026-01-03 03:04:05"/>
<references>$reference</references><description>d</description>
<pkglist><collection short="c"><name>c</name><package name="$5" version="$6" release="$7" epoch="${8:-0}" arch="noarch" src="$5.src.rpm"><filename>$5-$6-$7.noarch.rpm</filename>$9</package></collection></pkglist></update>
XML
}
{
    echo '<?xml version="1.0" encoding="UTF-8"?><updates>'
    advisory SEC-2026:1 security Critical CVE-2026-0001 tool 1.1 1
    advisory BUG-2026:2 bugfix None '' tool 1.2 1
    advisory SEC-2026:3 security Moderate CVE-2026-0003 library-with-a-name-that-is-longer-than-any-column 2.0 2.el9_4.a.very.long.release.too 1
    advisory SEC-2026:4 security Important CVE-2026-0004 kernel-core 5.2 1 0 '<reboot_suggested>1</reboot_suggested>'
    advisory SEC-2026:5 security Low CVE-2026-0005 kept 2 1
    echo '</updates>'
} >/srv/updateinfo.xml
createrepo_c --quiet /srv/updates
modifyrepo_c /srv/updateinfo.xml /srv/updates/repodata >/dev/null
createrepo_c --quiet /srv/plain

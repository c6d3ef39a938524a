# The baseline of playbooks/baseline.yml, task by task, in pyinfra's own terms.
from io import StringIO

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.facts.hardware import NetworkDevices
from pyinfra.facts.server import Arch, Command, Hostname, LinuxDistribution
from pyinfra.operations import crontab, files, server

TEMPLATES = "@TEMPLATES@"
ROOT, USER, GROUP = "/srv/shop", "shop", "shopops"
SITES = [
    {"name": "front", "port": 8081, "workers": 2},
    {"name": "api", "port": 8082, "workers": 4},
    {"name": "admin", "port": 8083, "workers": 1, "internal": True},
]

distribution = host.get_fact(LinuxDistribution)
devices = host.get_fact(NetworkDevices)
variables = {
    "app_name": "shop",
    "app_user": USER,
    "app_group": GROUP,
    "app_port": 8080,
    "app_sites": SITES,
    "inventory_hostname": host.name,
    "ansible_facts": {
        "hostname": host.get_fact(Hostname),
        "architecture": host.get_fact(Arch),
        "distribution": distribution["name"],
        "distribution_major_version": distribution["major"],
        "default_ipv4": {"address": devices["eth0"]["ipv4"]["address"]},
    },
}


def template(name, dest, **options):
    return files.template(name=dest, src=f"{TEMPLATES}/{name}.j2", dest=dest, create_remote_dir=False, **options)


server.group(name="group", group=GROUP, gid=4200)
server.user(
    name="user", user=USER, uid=4200, group=GROUP, home=ROOT, shell="/usr/sbin/nologin", comment="Shop application",
    ensure_home=False,
)
for path, mode, owner in [
    (ROOT, "755", "root"), (f"{ROOT}/conf", "750", "root"), (f"{ROOT}/data", "2770", USER), ("/var/log/shop", "750", USER),
]:
    files.directory(name=path, path=path, mode=mode, user=owner, group=GROUP)
template("motd", "/etc/motd", user="root", group="root", mode="644", **variables)
notified = [template("app.ini", f"{ROOT}/conf/app.ini", user=USER, group=GROUP, mode="640", **variables)]
for site in SITES:
    dest = f"{ROOT}/conf/site-{site['name']}.conf"
    notified.append(template("site.conf", dest, user="root", group=GROUP, mode="640", item=site, **variables))
# The template itself needs Ansible's filter `quote`.
profile = (
    "# Environment of shop.\nexport APP_ROOT=/srv/shop\n"
    'export APP_SITES="front:api:admin"\nexport APP_PORTS="8081-8083"\n'
)
files.put(name="profile", src=StringIO(profile), dest="/etc/profile.d/shop.sh", mode="644", create_remote_dir=False)
template("logrotate", "/etc/logrotate.d/shop", mode="644", **variables)
sudoers = (
    "# Members of shopops look after the application.\n"
    "%shopops ALL=(root) NOPASSWD: /usr/bin/systemctl restart shop\n"
)
written = files.put(
    name="sudoers", src=StringIO(sudoers), dest="/etc/sudoers.d/shop", user="root", group="root", mode="440",
    create_remote_dir=False,
)
server.shell(name="validate", commands=["visudo -cf /etc/sudoers.d/shop"], _if=written.did_change)
files.line(name="sshd", path="/etc/ssh/sshd_config", line="^#?MaxAuthTries .*", replace="MaxAuthTries 4")
files.line(name="umask", path="/etc/login.defs", line="^UMASK.*", replace="UMASK\t\t027")
files.put(
    name="default", src=StringIO("APP_ROOT=/srv/shop\n"), dest="/etc/default/shop", mode="644", create_remote_dir=False
)
files.block(
    name="hosts", path="/etc/hosts", marker="# {mark} managed: shop",
    content="192.0.2.10 db.shop.internal db\n192.0.2.11 cache.shop.internal cache",
)
crontab.crontab(
    name="cron", command="find /srv/shop/data -type f -mtime +30 -delete", user=USER, cron_name="shop clean-up", minute="17",
    hour="3",
)
files.link(name="link", path="/etc/shop", target=f"{ROOT}/conf")
assert host.get_fact(Command, "id -u shop || true") in ("4200", "", None, "id: ‘shop’: no such user")
host.get_fact(File, path=f"{ROOT}/conf/app.ini")
release = '{"app": "shop", "release": "1.4.2", "sites": ["front", "api", "admin"]}\n'
files.put(name="release", src=StringIO(release), dest=f"{ROOT}/release.json", mode="644", create_remote_dir=False)
files.file(
    name="handler", path=f"{ROOT}/data/restart-needed", user=USER, group=GROUP, mode="640", touch=True,
    _if=lambda: any(operation.did_change() for operation in notified),
)

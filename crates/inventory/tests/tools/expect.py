"""Writes what ansible-core makes of the cases: cases/cases.json -> expected.json.

    cd crates/inventory/tests/cases && python3 ../tools/expect.py

Per case: groups with members and children in order, hosts in order, each host's variables, and what patterns select.
"""
import json, os, pathlib, sys, tempfile
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.vars.manager import VariableManager
from ansible.module_utils._internal._datatag import AnsibleTagHelper

MAGIC = {'inventory_hostname', 'inventory_hostname_short', 'group_names', 'groups', 'omit', 'playbook_dir',
         'ansible_playbook_python', 'ansible_config_file', 'ansible_facts', 'ansible_local', 'inventory_file',
         'inventory_dir', 'environment', 'ansible_version', 'ansible_check_mode', 'vars'}
here = os.getcwd()


def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value)
    return str(value)


def relative(path):
    return None if str(path) == 'None' else os.path.relpath(path, here) if os.path.isabs(path) else str(path)


def run(case):
    loader = DataLoader()
    loader.set_basedir(os.path.join(here, case.get('playbook', '/nonexistent')))
    inventory = InventoryManager(loader=loader, sources=case['sources'])
    manager = VariableManager(loader=loader, inventory=inventory)
    out = {'groups': {}, 'hosts': {}, 'patterns': []}
    for name, group in inventory.groups.items():
        out['groups'][str(name)] = {
            'hosts': [str(h.name) for h in group.hosts], 'children': [str(g.name) for g in group.child_groups],
            'depth': group.depth, 'priority': group.priority, 'all_hosts': [str(h.name) for h in group.get_hosts()]}
    for name, host in inventory.hosts.items():
        variables = manager.get_vars(host=host, include_hostvars=False)
        out['hosts'][str(name)] = {
            'vars': {str(k): plain(v) for k, v in variables.items() if k not in MAGIC},
            'group_names': [str(n) for n in variables['group_names']],
            'short': str(variables['inventory_hostname_short']),
            'file': relative(variables['inventory_file']), 'dir': relative(variables['inventory_dir'])}
    if 'limit' in case:
        inventory.subset(case['limit'])
    for pattern in case['patterns']:
        try:
            hosts = [str(h.name) for h in inventory.get_hosts(pattern)]
        except Exception as error:
            hosts = {'error': str(error)}
        out['patterns'].append([pattern, hosts])
    return out


cases = json.loads(pathlib.Path('cases.json').read_text())
expected = {case['name']: run(case) for case in cases}
pathlib.Path('../expected.json').write_text(json.dumps(expected, indent=1, ensure_ascii=True) + '\n')

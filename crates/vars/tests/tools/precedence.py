"""Makes the fixture tests/precedence and asks ansible-core which level wins: expected.json.

    python3 crates/vars/tests/tools/precedence.py

The variable `ansible_pNN` is set at level NN and at every level below it, to the level's name.
"""
import json, os, pathlib, subprocess

here = pathlib.Path(__file__).parent.parent / 'precedence'
LEVELS = ['inventory_all', 'inventory_parent', 'inventory_child_low', 'inventory_child_high', 'inventory_all_file',
          'playbook_all_file', 'inventory_parent_file', 'inventory_child_file', 'playbook_parent_file',
          'playbook_child_file', 'inventory_host', 'inventory_host_file', 'playbook_host_file', 'facts', 'play_vars',
          'play_prompt', 'vars_file_1', 'vars_file_2', 'block_outer', 'block_inner', 'task', 'include_vars', 'set_fact',
          'extra_vars']


def values(level):
    return {f'ansible_p{n:02}': level for n in range(LEVELS.index(level), len(LEVELS))}


def write(path, content):
    path = here / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1) + '\n')


group = lambda level, **more: {'vars': {**values(level), **more}, 'hosts': {'h1': {}}}
write('inventory/hosts.yml', {
    'all': {'vars': values('inventory_all'), 'hosts': {'h1': values('inventory_host'), 'h2': {}}},
    'parent': {'vars': values('inventory_parent'), 'children': {'b_low': {}, 'a_high': {}}},
    'b_low': group('inventory_child_low'), 'a_high': group('inventory_child_high', ansible_group_priority=5)})
write('inventory/group_vars/all.yml', values('inventory_all_file'))
write('inventory/group_vars/parent.yml', values('inventory_parent_file'))
write('inventory/group_vars/a_high.yml', values('inventory_child_file'))
write('inventory/host_vars/h1.yml', values('inventory_host_file'))
write('group_vars/all.yml', values('playbook_all_file'))
write('group_vars/parent.yml', values('playbook_parent_file'))
write('group_vars/a_high.yml', values('playbook_child_file'))
write('host_vars/h1.yml', values('playbook_host_file'))
write('files/vars_file_1.yml', values('vars_file_1'))
write('files/vars_file_2.yml', values('vars_file_2'))
write('files/include_vars.yml', values('include_vars'))
write('files/set_fact.yml', values('set_fact'))
write('files/extra.json', values('extra_vars'))
write('files/facts.json', values('facts'))
write('library/give_facts.py', '#!/usr/bin/python3\n# WANT_JSON\nimport json\nprint(json.dumps({"ansible_facts": %s}))\n'
      % json.dumps(values('facts')))
names = [f'ansible_p{n:02}' for n in range(len(LEVELS))]
play = [{
    'hosts': 'h1', 'gather_facts': False, 'connection': 'local',
    'vars': values('play_vars'),
    'vars_prompt': [{'name': name, 'default': 'play_prompt', 'private': False} for name in values('play_prompt')],
    'vars_files': ['files/vars_file_1.yml', 'files/vars_file_2.yml'],
    'tasks': [
        {'give_facts': None},
        {'ansible.builtin.include_vars': 'files/include_vars.yml'},
        {'ansible.builtin.set_fact': values('set_fact')},
        {'vars': values('block_outer'), 'block': [{'vars': values('block_inner'), 'block': [
            {'vars': values('task'), 'ansible.builtin.debug': {'msg': '{{ [' + ', '.join(names) + '] }}'}}]}]}]}]
write('site.yml', play)
env = dict(os.environ, ANSIBLE_LIBRARY=str(here / 'library'))
out = subprocess.run(['ansible-playbook', '-i', 'inventory/hosts.yml', '-e', '@files/extra.json', 'site.yml'], cwd=here, env=env,
                     stdin=subprocess.DEVNULL, capture_output=True, text=True)
start = out.stdout.index('ok: [h1] => {', out.stdout.index('debug]')) + len('ok: [h1] => ')
result = json.JSONDecoder().raw_decode(out.stdout[start:])[0]['msg']
write('expected.json', dict(zip(names, result)))
print(result)

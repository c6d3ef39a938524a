"""Writes what ansible-core's own YAML loader makes of every case: cases/NAME -> expected/NAME.json.

    python3 crates/yaml/tests/tools/expect.py

A case becomes a list of documents, each value with its type, or the line and column of the error.
"""
import datetime, json, pathlib
import yaml
from ansible._internal._yaml._loader import AnsibleLoader
from ansible.module_utils._internal._datatag import AnsibleTagHelper
from ansible._internal._datatag._tags import TrustedAsTemplate
from ansible.parsing.vault import EncryptedString

here = pathlib.Path(__file__).parent.parent


def typed(value):
    if isinstance(value, EncryptedString):
        return ['vault', AnsibleTagHelper.untag(value._ciphertext)]
    if value is None:
        return ['null']
    if isinstance(value, bool):
        return ['bool', value]
    if isinstance(value, int):
        return ['int', str(int(value))]
    if isinstance(value, float):
        return ['float', repr(float(value)).replace('-nan', 'nan')]
    if isinstance(value, str):
        trusted = TrustedAsTemplate.is_tagged_on(value)
        return ['text' if trusted else 'data', str(AnsibleTagHelper.untag(value))]
    if isinstance(value, bytes):
        return ['data', value.decode()]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return ['data', str(value)]
    if isinstance(value, dict):
        return ['map', [[typed(k), typed(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return ['list', [typed(v) for v in value]]
    if isinstance(value, set):
        return ['list', sorted(typed(v) for v in value)]
    raise TypeError(type(value))


def load(text):
    text = TrustedAsTemplate().tag(text)
    try:
        try:
            return [typed(json.loads(text))] if text.lstrip()[:1] in ('{', '[') else yaml_documents(text)
        except json.JSONDecodeError:
            return yaml_documents(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return {'error': [mark.line + 1, mark.column + 1]}
    except (yaml.YAMLError, ValueError, KeyError, IndexError, RecursionError):
        return {'error': None}


def yaml_documents(text):
    return [typed(document) for document in yaml.load_all(text, Loader=AnsibleLoader)]


for case in sorted((here / 'cases').iterdir()):
    (here / 'expected').mkdir(exist_ok=True)
    result = load(case.read_bytes().decode('utf-8'))
    if case.suffix == '.json' and isinstance(result, list):
        result = json.loads(json.dumps(result).replace('["data", ', '["text", '))
    target = here / 'expected' / (case.name + '.json')
    target.write_text(json.dumps(result, ensure_ascii=True) + '\n')

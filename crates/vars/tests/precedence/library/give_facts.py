#!/usr/bin/python3
# WANT_JSON
import json
print(json.dumps({"ansible_facts": {"ansible_p13": "facts", "ansible_p14": "facts", "ansible_p15": "facts", "ansible_p16": "facts", "ansible_p17": "facts", "ansible_p18": "facts", "ansible_p19": "facts", "ansible_p20": "facts", "ansible_p21": "facts", "ansible_p22": "facts", "ansible_p23": "facts"}}))

#!/bin/sh
cat <<'J'
{"web": {"hosts": ["s1", "s2"], "vars": {"v": "{{ x }}", "n": 1}, "children": ["sub"]},
 "sub": {"hosts": ["s3"]}, "_meta": {"hostvars": {"s1": {"x": [1]}, "unlisted": {"y": 1}}}}
J

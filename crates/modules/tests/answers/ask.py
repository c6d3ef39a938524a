"""Ask ansible-core's own module what it does to a file: ask.py MODULE < questions.json > MODULE.json

A question is {"before": text or null, "args": {...}}; the answer adds what the file is afterwards and
what the module returned. Text stands for bytes, one character each. PATH is where the file is, CRASHED a
module that ended with a traceback. For cron the file is the crontab that a stand-in for crontab(1) keeps,
or the cron_file of the question.
"""

import json
import os
import subprocess
import sys
import tempfile

KEPT = ("changed", "failed", "msg", "found", "rc", "jobs", "envs")

CRONTAB = """#!/bin/sh
[ "$1" = -u ] && shift 2
if [ "$1" = -l ]; then cat "$TABLE" 2>/dev/null || exit 1; else cat "$1" > "$TABLE"; fi
"""


def ask(module, question, folder):
    path = os.path.join(folder, "file")
    if os.path.exists(path):
        os.remove(path)
    if question["before"] is not None:
        with open(path, "wb") as file:
            file.write(question["before"].encode("latin-1"))
        os.chmod(path, 0o644)
    own = dict(question["args"])
    if module != "cron":
        own["path"] = path
    elif "cron_file" in own:
        own["cron_file"] = path
    args = os.path.join(folder, "args")
    with open(args, "w") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": own}, file)
    env = {**os.environ, "TABLE": path, "PATH": folder + ":" + os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", f"ansible.modules.{module}", args],
                          capture_output=True, text=True, env=env)
    lines = done.stdout.strip().splitlines()
    result = json.loads(lines[-1]) if lines else {"failed": True, "msg": "CRASHED"}
    after = None
    if os.path.exists(path):
        with open(path, "rb") as file:
            after = file.read().decode("latin-1")
    kept = {key: result[key] for key in KEPT if key in result}
    if "msg" in kept:
        kept["msg"] = kept["msg"].replace(path, "PATH")
    return {**question, "after": after, **kept}


def main():
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "crontab"), "w") as file:
            file.write(CRONTAB)
        os.chmod(os.path.join(folder, "crontab"), 0o755)
        answers = [ask(sys.argv[1], question, folder) for question in json.load(sys.stdin)]
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    print(f"[\n{lines}\n]")


main()

"""Ask ansible-core's own module what it does to a file: ask.py MODULE < questions.json > MODULE.json

A question is {"before": text or null, "args": {...}}; the answer adds what the file is afterwards and
what the module returned. Text stands for bytes, one character each. PATH is where the file is, CRASHED a
module that ended with a traceback.
"""

import json
import os
import subprocess
import sys
import tempfile

KEPT = ("changed", "failed", "msg", "found", "rc")


def ask(module, question, folder):
    path = os.path.join(folder, "file")
    if os.path.exists(path):
        os.remove(path)
    if question["before"] is not None:
        with open(path, "wb") as file:
            file.write(question["before"].encode("latin-1"))
        os.chmod(path, 0o644)
    args = os.path.join(folder, "args")
    with open(args, "w") as file:
        json.dump({"ANSIBLE_MODULE_ARGS": {"path": path, **question["args"]}}, file)
    done = subprocess.run([sys.executable, "-W", "ignore", "-m", f"ansible.modules.{module}", args],
                          capture_output=True, text=True)
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
        answers = [ask(sys.argv[1], question, folder) for question in json.load(sys.stdin)]
    lines = ",\n".join(json.dumps(answer) for answer in answers)
    print(f"[\n{lines}\n]")


main()

"""Makes ansible-core write its results as the JSON lines that hostler's `--output json` has, as far as the comparison reads them."""

import json
import os

from ansible.playbook.handler import Handler
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: truth
    type: stdout
    short_description: events as JSON lines
    description: one line for each event
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "truth"

    def __init__(self):
        super().__init__()
        self.out = open(os.environ["TRUTH_EVENTS"], "w", encoding="utf-8")
        self.plays = {}
        self.tasks = {}
        self.items = {}
        self.count = 0

    def emit(self, event, **fields):
        self.out.write(json.dumps({"event": event, **fields}, default=str) + "\n")
        self.out.flush()

    def v2_playbook_on_play_start(self, play):
        number = self.plays.setdefault(play._uuid, len(self.plays) + 1)
        self.emit("play_started", number=number)

    def start(self, task):
        self.count += 1
        self.tasks[task._uuid] = self.count
        path, _, line = (task.get_path() or ":0").rpartition(":")
        action = task.action.rpartition(".")[2]
        facts = action in ("gather_facts", "setup") and task.get_name() == "Gathering Facts"
        kind = "handler" if isinstance(task, Handler) else "gather_facts" if facts else "task"
        location = {"file": path, "line": int(line) if line.isdigit() else 0, "column": 0}
        self.emit("task_started", id=self.count, name=task.get_name(), module=action, kind=kind, location=location)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self.start(task)

    def v2_playbook_on_handler_task_start(self, task):
        self.start(task)

    def result(self, result, status):
        task, host = result._task, result._host.get_name()
        value = result._result
        if task._uuid not in self.tasks:
            self.start(task)
        if status == "ok" and value.get("changed"):
            status = "changed"
        message = value.get("msg") or value.get("skip_reason") or ""
        delegated = (value.get("_ansible_delegated_vars") or {}).get("ansible_delegated_host")
        subjects = [value[key] for key in ("dest", "path") if isinstance(value.get(key), str)]
        diffs = value.get("diff") or []
        for diff in diffs if isinstance(diffs, list) else [diffs]:
            if isinstance(diff, dict):
                subjects += [diff[key] for key in ("before_header", "after_header") if isinstance(diff.get(key), str)]
        deltas = [{"subject": subject, "change": {}} for subject in dict.fromkeys(subjects)] if status == "changed" else []
        return self.tasks[task._uuid], host, {
            "status": status,
            "message": str(message),
            "delegated_to": delegated,
            "deltas": deltas,
        }

    def whole(self, result, status):
        task, host, value = self.result(result, status)
        self.emit("task_finished", task=task, host=host, result=value)

    def item(self, result, status):
        task, host, value = self.result(result, status)
        index = self.items.get((task, host), 0)
        self.items[(task, host)] = index + 1
        self.emit("item_finished", task=task, host=host, item={"index": index, **value})

    def v2_runner_on_ok(self, result):
        self.whole(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.whole(result, "failed")

    def v2_runner_on_skipped(self, result):
        self.whole(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.whole(result, "unreachable")

    def v2_runner_item_on_ok(self, result):
        self.item(result, "ok")

    def v2_runner_item_on_failed(self, result):
        self.item(result, "failed")

    def v2_runner_item_on_skipped(self, result):
        self.item(result, "skipped")

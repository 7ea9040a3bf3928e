#!/usr/bin/env python3
"""A stand-in for `longweave-worker`: with `drive` a driver that has three tasks, without it a worker. Both keep to docs/worker.md.

FAKE=silent: the driver never ends; FAKE=dies: it ends before the run; FAKE=needs: it asks for a GPU; FAKE=drops: it gives its first place up;
FAKE=noise: a library of the worker at place a prints; FAKE=hangs: place a never ends its task. FAKE_PLACES: tasks are given once so many places are open or lost."""
import json
import os
import sys
import time


def say(**line):
    print(json.dumps(line), flush=True)


def worker():
    for text in sys.stdin:
        request = json.loads(text)
        if request["type"] == "open":
            say(id=request["id"], type="opened", version="0.1.0", host="here", process=os.getpid(), attempt="a", arguments=sys.argv[1:])
        elif request["type"] == "run":
            if request.get("noise"):
                sys.stdout.buffer.write(b"\xff: a warning of a library\n")
                sys.stdout.buffer.flush()
            say(id=request["id"], type="progress", done=1, total=2)
            if request.get("hang"):
                time.sleep(600)
            say(id=request["id"], type="done", records=[{"task": request["tasks"], "by": os.getpid(), "text": "ü\u2028" * 40_000}])


def driver():
    mode, tasks, done, places, given, idle = os.environ.get("FAKE", ""), [0, 1, 2], [], [], {}, []
    awaited, heard = int(os.environ.get("FAKE_PLACES", "1")), set()
    options = json.load(open(sys.argv[sys.argv.index("--options") + 1], encoding="utf-8"))
    for text in sys.stdin:
        message = json.loads(text)
        kind, place = message["type"], message.get("place")
        if kind == "cancel":
            say(type="end", error={"code": "CANCELLED", "message": "cancelled", "details": {}})
            sys.exit(130)
        if mode == "dies":
            os._exit(3)
        if kind == "place":
            places.append(message)
            if mode == "drops" and len(places) == 1:
                say(type="drop", place=place, reason="silent for 60 s")
            if mode == "needs" and message["gpus"] == 0:
                say(type="need", gpus=1, places=1)
            else:
                say(type="line", place=place, line={"id": 1, "type": "open", "run": "out", "version": "0.1.0"})
        elif kind == "lost":
            heard.add(place)
            say(type="event", event={"type": "warning", "message": f"lost {place}: {message['reason']}, memory {message['memory']}"})
            idle = [one for one in idle if one != place]
            if place in given:
                tasks.append(given.pop(place))
        elif message["line"]["type"] == "progress":
            say(type="event", event={"type": "progress", "stage": "scan", "done": 1, "total": 2})
        else:
            heard.add(place)
            if message["line"]["type"] == "done":
                done.append(given.pop(place))
            idle.append(place)
        if len(done) == 3:
            say(type="end", summary={"directory": options["output"]["directory"], "tasks": done, "places": places})
            sys.exit(0)
        while tasks and idle and len(heard) >= awaited:
            place = idle.pop(0)
            given[place] = tasks.pop(0)
            say(type="line", place=place, line={"id": 2, "type": "run", "run": "out", "stage": "scan", "tasks": given[place], "hang": mode == "silent" or (mode == "hangs" and place == "a"), "noise": mode == "noise" and place == "a"})


if sys.argv[1:2] == ["drive"]:
    driver()
else:
    worker()

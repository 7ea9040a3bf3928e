"""What the suites over real servers and clusters share. A test is a function of a world, which has a folder `place`, `mend()` for after a test that failed, and `close()`; it
returns why it was skipped, if it was."""
import shutil
import time
import traceback

TESTS = []


def test(function):
    TESTS.append(function)
    return function


def check(truth, message):
    if not truth:
        raise AssertionError(message)


def until(truth, what, seconds):
    """Waits until `truth` is; what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = truth()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not in {seconds} seconds")


def files(out):
    """The files of an output by name; those that tell of the run left out."""
    found = {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".") and name != "run.json"}


def equal(found, expected, what):
    if found == expected:
        return
    if isinstance(found, dict) and isinstance(expected, dict):
        names = sorted(found.keys() ^ expected.keys()), sorted(name for name in found.keys() & expected.keys() if found[name] != expected[name])
        raise AssertionError(f"{what}: only on one side {names[0]}, different {names[1]}")
    raise AssertionError(f"{what}: {found!r} is not {expected!r}")


def chosen(words):
    """The tests whose names have one of the words; all without words."""
    return [function for function in TESTS if not words or any(word in function.__name__ for word in words)]


def run(make_world, words):
    """Runs them one after the other; the exit status."""
    tests, failed, skipped, world = chosen(words), 0, 0, make_world()
    try:
        for function in tests:
            start, name = time.monotonic(), function.__name__.replace("_", " ")
            try:
                said = function(world)
                skipped += said is not None
                print(f"{'–' if said else '✓'} {name} ({said or f'{time.monotonic() - start:.1f} s'})", flush=True)
            except Exception as error:
                failed += 1
                shown = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
                print(f"✗ {name} ({time.monotonic() - start:.1f} s)\n      {shown}", flush=True)
                world.mend()
    finally:
        world.close()
    if not failed:
        shutil.rmtree(world.place, ignore_errors=True)
    print(f"{len(tests) - failed - skipped} of {len(tests)} tests passed, {skipped} skipped.")
    return 1 if failed or not tests else 0

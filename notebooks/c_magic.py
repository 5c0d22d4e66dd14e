"""%%c makes a notebook's cell a C program: compiles and runs it, and shows every PNG it writes.

    %%c                               compile this cell with cc -O2, run it
    %%c --args "--seed 7"             ... with arguments
    %%c --flags "-O3 -fopenmp"        ... with more flags for the compiler
    %%c --name lesson.h               keep this cell: later ones may #include "lesson.h"
    %%c --name lesson.c               compile this cell now, and link it with all later ones

Programs run in ../build, so that #include "../cnnvis.h" is right. CC names another compiler."""
import os
import shlex
import signal
import subprocess
from pathlib import Path

from IPython.core.error import UsageError
from IPython.display import Image, display

build = Path(__file__).resolve().parent.parent / "build"
linked = set()  # what cells with a name in .c were compiled to


def run(*command):
    result = subprocess.run(command, cwd=build, encoding="utf-8", errors="replace",
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        how = (f"crashed: {signal.strsignal(-result.returncode)}" if result.returncode < 0
               else f"failed with exit status {result.returncode}")
        raise UsageError(f"{Path(command[0]).name} {how}\n{result.stdout}")
    print(result.stdout, end="")


def c(line, cell):
    words = shlex.split(line)
    options = dict(zip(words[::2], words[1::2]))
    if len(words) % 2 or not {"--name", "--flags", "--args"}.issuperset(options):
        raise UsageError("%%c has the options --name FILE, --flags '...' and --args '...'")
    source = Path(options.get("--name", "cell.c")).name
    build.mkdir(exist_ok=True)
    once = "#pragma once" if source.endswith(".h") else ""  # takes the place of the line %%c
    (build / source).write_text(f"{once}\n{cell}", encoding="utf-8")
    flags = shlex.split(options.get("--flags", ""))
    compile = [*shlex.split(os.environ.get("CC", "cc")), "-O2", "-Wall", "-Wno-unused-function",
               "-Wno-unused-variable", "-I/opt/homebrew/include"]
    if once:  # compiled with what includes it: now only look for errors
        run(*compile, *flags, "-fsyntax-only", "-include", source, "-x", "c", os.devnull)
    elif "--name" in options:
        linked.add(Path(source).with_suffix(".o").name)
        run(*compile, source, *flags, "-c")
    else:
        run(*compile, source, *linked, "-o", "cell", *flags, "-lm")
        before = {png: png.stat().st_mtime_ns for png in build.glob("*.png")}
        run("./cell", *shlex.split(options.get("--args", "")))
        for png in sorted(build.glob("*.png"), key=lambda png: png.stat().st_mtime_ns):
            if png.stat().st_mtime_ns != before.get(png):
                display(Image(data=png.read_bytes()))


def load_ipython_extension(ipython):
    ipython.register_magic_function(c, "cell")

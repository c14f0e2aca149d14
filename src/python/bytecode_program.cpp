// The program that runs inside the container. It is text here, so that a container needs no file of
// ours, and short, so that it can be read whole by who wonders what kist executes.
#include "python/bytecode_program.h"

namespace kist::python {

const std::string_view kBytecodeProgram = R"py(
import gc, os, py_compile, resource, signal, sys, warnings
root, list_path, output, level, workers = sys.argv[1:6]
assert sys.flags.hash_randomization == 0, 'PYTHONHASHSEED must be 0'
level, workers = int(level), int(workers)
tag = sys.implementation.cache_tag
suffix = tag + ('.opt-%d' % level if level else '') + '.pyc'
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
warnings.simplefilter('ignore')
os.umask(0o022)

def compile_one(name):
    folder, _, base = name.rpartition('/')
    target = os.path.join(output, folder, '__pycache__', base[:-3] + '.' + suffix)
    py_compile.compile(os.path.join(root, name), target, '/' + name, True, level, mode)

def child(raw):
    # What never ends or eats all memory fails alone.
    resource.setrlimit(resource.RLIMIT_CPU, (120, 120))
    status = 1
    try:
        compile_one(os.fsdecode(raw))
        status = 0
    except BaseException:
        pass
    os._exit(status)

with open(list_path, 'rb') as file:
    names = [name for name in file.read().split(b'\0') if name]
# Once, so that every child finds the compiler, the codecs and the import system as the others do.
compile('f"{1}" + b"".decode()\nclass A:\n    def f(self, *a: int): return [x for x in a]\n',
        'warm', 'exec', dont_inherit=True, optimize=level)
'\xe9'.encode('utf-8').decode('utf-8')
devnull = os.open(os.devnull, os.O_RDWR)
gc.collect()
gc.disable()
gc.freeze()
running = failed = 0

def reap():
    global running, failed
    _, status = os.wait()
    running -= 1
    failed += status != 0

for name in names:
    if running == workers:
        reap()
    if os.fork() == 0:
        os.dup2(devnull, 2)
        child(name)
    running += 1
while running:
    reap()
print(len(names) - failed, failed)
)py";

}  // namespace kist::python

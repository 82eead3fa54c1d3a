# SPDX-License-Identifier: Apache-2.0
"""`import warpdrive` from an installation: each case is a program of its own on the hosted machine."""

import ast
import os
import subprocess
import textwrap

import pytest

PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module", name="environment")
def fixture_environment(destdir):
    modules = list(destdir.rglob("_warpdrive.*.so"))
    if not modules:
        pytest.fail("this build has no Python module (scripts/packages test)")
    (module,) = modules
    (library,) = destdir.rglob("libwd.so.1")
    return {**os.environ, "PYTHONPATH": str(module.parent.parent), "PYTHONDONTWRITEBYTECODE": "1",
            "LD_LIBRARY_PATH": str(library.parent), "WD_HOST": "hosted", "WD_NODE": "2"}


@pytest.fixture(scope="module", name="python")
def fixture_python(environment):
    def run(code, *argv):
        command = [PYTHON, *map(str, argv)] if argv else [PYTHON, "-c", textwrap.dedent(code)]
        out = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=600)
        assert out.returncode == 0 and out.stderr == "", f"{out.returncode}\n{out.stderr[-3000:]}"
        return out.stdout
    return run


def test_topology(python):
    python('''
        import warpdrive
        t = warpdrive.topology()
        assert t.here == 2 and [n.id for n in t.nodes] == [0, 1, 2, 3]
        assert [a.name for a in t.accelerators] == ["hisi_zip-0", "hisi_zip-1"]
        assert t.nearest().name == t.nearest("gzip").name == "hisi_zip-1" and t.nearest(start=0).name == "hisi_zip-0"
        assert t.distance(0, 2) == 20 and t.distance(0, 99) is None and t.nodes[0].cpus[:2] == [0, 1]
        a = t.get("hisi_zip-0")
        assert a.queues_free <= a.queues_total and a.dma_mode in a.dma_modes and "zlib" in a.algorithms
        free = a.queues_free
        with warpdrive.Queue("zlib", device="hisi_zip-0"):
            assert warpdrive.topology().get("hisi_zip-0").queues_free == free - 1
            assert a.queues_free == free
        assert warpdrive.topology().get("hisi_zip-0").queues_free == free
        ''')


def test_against_zlib(python):
    """Compress and decompress in every format: nothing, a byte, about a block of the library, several blocks."""
    python('''
        import gzip, os, zlib, warpdrive
        BITS = {"gzip": 31, "zlib": 15, "deflate": -15}
        def theirs(data, format):
            c = zlib.compressobj(6, zlib.DEFLATED, BITS[format])
            return c.compress(data) + c.flush()
        block = os.urandom(1 << 20)
        for data in (b"", b"x", b"warp drive " * 300000, block[:-1], block, block + b"y", block * 3):
            for format, bits in BITS.items():
                packed = warpdrive.compress(data, format)
                assert zlib.decompress(packed, bits) == data == warpdrive.decompress(packed, format), format
                assert warpdrive.decompress(theirs(data, format), format) == data, format
        assert warpdrive.decompress(gzip.compress(b"a") + gzip.compress(b"b") + bytes(700)) == b"ab"
        packed = warpdrive.compress(b"x" * 100, device="hisi_zip-0")
        assert gzip.decompress(packed) == b"x" * 100
        ''')


def test_pieces(python):
    """Input in pieces of any length gives the same result, and is not kept until the end."""
    python('''
        import itertools, random, zlib, warpdrive
        choose = random.Random(7)
        data = choose.randbytes(1 << 18) * 9
        lengths = itertools.cycle([1, 70000, 0, 3 << 20, 1 << 20, 4095])
        def pieces(whole):
            at = 0
            while at < len(whole):
                length = next(lengths)
                yield whole[at:at + length]
                at += length
        with warpdrive.Compressor("zlib") as compressor, warpdrive.Decompressor("zlib") as decompressor:
            for _ in range(2):
                packed = b"".join(map(compressor.compress, pieces(data))) + compressor.flush()
                assert packed == warpdrive.compress(data, "zlib")
            assert not decompressor.eof
            out = b"".join(map(decompressor.decompress, pieces(packed[:-1])))
            assert not decompressor.eof
            assert out + decompressor.decompress(packed[-1:]) == data and decompressor.eof
        with warpdrive.Decompressor() as decompressor:
            member = warpdrive.compress(b"one")
            assert decompressor.decompress(member) == b"one" and decompressor.eof
            assert decompressor.decompress(member[:3]) == b"" and not decompressor.eof
            assert decompressor.decompress(member[3:]) == b"one" and decompressor.eof
            assert decompressor.decompress(bytes(9)) == b"" and decompressor.eof
        ''')


def test_bytes_like_objects(python):
    """Contiguous buffers are accepted. Other memory and other types get Python's own errors."""
    python('''
        import array, mmap, zlib, warpdrive
        text = b"buffer " * 5000
        anonymous = mmap.mmap(-1, len(text))
        anonymous.write(text)
        for data in (bytearray(text), memoryview(text), memoryview(text)[7:700], array.array("H", text), anonymous):
            assert zlib.decompress(warpdrive.compress(data, "zlib")) == bytes(data)
            packed = zlib.compress(data)
            assert warpdrive.decompress(memoryview(packed), "zlib") == bytes(data)
        for wrong, error in ((memoryview(text)[::2], BufferError), ("text", TypeError), (None, TypeError)):
            try:
                warpdrive.compress(wrong)
            except error:
                pass
            else:
                raise AssertionError(wrong)
        ''')


def test_errors(python):
    """Each is an OSError with an errno and gives the queue back: the next call works."""
    python('''
        import errno, gzip, zlib, warpdrive
        def refused(error, call, *args, **named):
            try:
                call(*args, **named)
            except warpdrive.Error as thrown:
                assert isinstance(thrown, OSError) and thrown.errno == error and thrown.strerror, thrown
                return thrown
            raise AssertionError("not refused")
        def bad(status, *args):
            thrown = refused(errno.EILSEQ, warpdrive.decompress, *args)
            assert isinstance(thrown, warpdrive.DataError) and thrown.status == status, thrown.status
            assert status in str(thrown)
        free = [a.queues_free for a in warpdrive.topology().accelerators]
        packed = gzip.compress(b"data" * 1000)
        bad("not in this format", b"no gzip")
        bad("it ends early", packed[:-1])
        bad("it ends early", packed + packed[:5])
        bad("it ends early", b"")
        bad("checksum mismatch", packed[:-8] + bytes(4) + packed[-4:])
        bad("corrupt data", b"\\x07", "deflate")
        bad("it goes on after the end", zlib.compress(b"x") + b"y", "zlib")
        bad("it goes on after the end", packed + b"\\0\\0y")
        with warpdrive.Decompressor() as decompressor:
            for _ in range(2):
                assert refused(errno.EILSEQ, decompressor.decompress, b"no gzip").status
        refused(errno.EINVAL, warpdrive.compress, b"x", "lz4")
        refused(errno.ENODEV, warpdrive.compress, b"x", device="nothing-0")
        refused(errno.ENODEV, warpdrive.compress, b"x", device="n" * 500)
        refused(errno.ENODEV, warpdrive.topology().get, "nothing-0")
        refused(errno.EINVAL, warpdrive.Queue, "lz4")
        refused(errno.EINVAL, warpdrive.Queue, "zlib", depth=0)
        queue = warpdrive.Queue("zlib", input=4096)
        refused(errno.EMSGSIZE, queue.submit, bytes(4097))
        assert queue.in_flight == 0 and queue.submit(bytes(4096))
        del queue
        assert warpdrive.decompress(packed) == b"data" * 1000
        assert [a.queues_free for a in warpdrive.topology().accelerators] == free
        ''')


def test_queue(python):
    """More blocks than slots; a full queue says so; a wait times out; the caller may change a buffer after submit()."""
    python('''
        import sys, zlib, warpdrive
        with warpdrive.Queue("zlib", depth=2) as queue:
            assert queue.device == "hisi_zip-1" and queue.pasid > 0 and queue.depth == 2
            assert not queue.wait(0) and queue.poll() == []
            first = bytearray(b"first")
            references = sys.getrefcount(first)
            assert queue.submit(first, user=7) and queue.submit(memoryview(b"second"), user=8)
            assert sys.getrefcount(first) == references
            first[:] = b"something longer"
            assert not queue.submit(b"third") and queue.in_flight == 2
            got = {}
            while len(got) < 2:
                assert queue.wait()
                for r in queue.poll():
                    assert r.ok and r.latency > 0
                    got[r.user] = zlib.decompress(r.data), r.consumed
            assert got == {7: (b"first", 5), 8: (b"second", 6)}
            assert queue.submit(b"third")
        with warpdrive.Queue("zlib", decompress=True) as queue:
            assert queue.submit(zlib.compress(b"back")) and queue.submit(b"garbage", user=1)
            results = []
            while len(results) < 2:
                queue.wait()
                results += queue.poll()
            good, bad = sorted(results, key=lambda result: result.user)
            assert good.ok and good.data == b"back" and not bad.ok and bad.data == b"" and bad.status == "malformed data"
        ''')


def test_closed_objects(python):
    python('''
        import errno, warpdrive
        queue, compressor, decompressor = warpdrive.Queue(), warpdrive.Compressor(), warpdrive.Decompressor()
        for closed in (queue, compressor, decompressor):
            closed.close()
            closed.close()
        for call in (lambda: queue.submit(b"x"), queue.poll, queue.wait, lambda: queue.pasid, compressor.flush,
                     lambda: compressor.compress(b"x"), lambda: decompressor.decompress(b"x"), lambda: decompressor.eof):
            try:
                call()
            except warpdrive.Error as thrown:
                assert thrown.errno == errno.EBADF
            else:
                raise AssertionError(call)
        ''')


def test_threads(python):
    """Threads use objects of their own. An object in use by a waiting thread refuses another thread."""
    python('''
        import errno, threading, zlib, warpdrive
        failed = []
        def work(number):
            try:
                data = bytes([number]) * 100000 + b"end"
                for _ in range(5):
                    packed = warpdrive.compress(data, "zlib")
                    assert zlib.decompress(packed) == data == warpdrive.decompress(packed, "zlib")
            except BaseException as thrown:
                failed.append(thrown)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failed, failed

        stop = threading.Event()
        def waits(queue):
            while not stop.is_set():
                try:
                    queue.wait(0.05)
                except warpdrive.Error as thrown:
                    assert thrown.errno == errno.EBUSY
        queue = warpdrive.Queue("zlib")
        thread = threading.Thread(target=waits, args=(queue,))
        thread.start()
        refused = False
        while not refused:
            try:
                queue.poll()
            except warpdrive.Error as thrown:
                assert thrown.errno == errno.EBUSY
                refused = True
        stop.set()
        thread.join()
        queue.close()
        ''')


def test_a_buffer_stays_while_it_is_read(python):
    """Other threads run during compress(), but cannot resize its buffer. Afterwards they can."""
    python('''
        import sys, threading, warpdrive
        data, seen = bytearray(4 << 20), threading.Event()
        references = sys.getrefcount(data)
        def work():
            while not seen.is_set():
                warpdrive.compress(data)
        thread = threading.Thread(target=work)
        thread.start()
        while not seen.is_set():
            try:
                data.append(0)
                data.pop()
            except BufferError:
                seen.set()
        thread.join()
        data.append(0)
        del work, thread
        assert sys.getrefcount(data) == references
        ''')


def test_fork(python):
    """In a child, calls on the parent's objects fail with ESTALE. The child makes its own, and the parent goes on."""
    python('''
        import errno, os, warpdrive
        queue, compressor = warpdrive.Queue("zlib"), warpdrive.Compressor()
        assert queue.submit(b"parent")
        child = os.fork()
        if not child:
            status = 1
            try:
                assert warpdrive.decompress(warpdrive.compress(b"child")) == b"child"
                for call in (lambda: queue.submit(b"x"), queue.poll, compressor.flush):
                    try:
                        call()
                    except warpdrive.Error as thrown:
                        assert thrown.errno == errno.ESTALE, thrown
                    else:
                        raise AssertionError(call)
                queue.close()
                del compressor
                assert warpdrive.decompress(warpdrive.compress(b"child")) == b"child"
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert queue.wait() and queue.poll()[0].ok
        assert warpdrive.decompress(compressor.compress(b"parent") + compressor.flush()) == b"parent"
        ''')


def test_ctrl_c_ends_a_wait(python):
    python('''
        import os, signal, threading, warpdrive
        with warpdrive.Queue() as queue:
            try:
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
                while True:
                    queue.wait()
            except KeyboardInterrupt:
                pass
            assert queue.submit(b"x") and queue.wait()
        ''')


def test_stub_has_the_names_of_the_module(python, root):
    """The stub has exactly the public names and their parameters, and each name has a docstring."""
    stub = []
    tree = ast.parse((root / "lib/python/warpdrive/__init__.pyi").read_text(encoding="utf-8"))

    def signature(prefix, function):
        names = [a.arg for a in function.args.args + function.args.kwonlyargs if a.arg != "self"]
        return f"{prefix}{function.name} {' '.join(names)}".rstrip()

    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            stub.append(signature("", node))
        elif isinstance(node, ast.ClassDef) and not node.name.endswith("Error"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name not in ("__enter__", "__exit__"):
                    stub.append(signature(node.name + ".", member))
    module = python('''
        import re, warpdrive
        def show(name, thing):
            first = "" if isinstance(thing, property) else thing.__doc__.splitlines()[0]
            print(" ".join([name] + [n for n in re.findall(r"[(,] ?(\\w+): ", first) if n != "self"]))
        for name in warpdrive.__all__:
            thing = getattr(warpdrive, name)
            assert thing.__doc__, name
            if not isinstance(thing, type):
                show(name, thing)
            elif not issubclass(thing, Exception):
                for member in vars(thing):
                    made = member == "__init__" and thing.__init__.__doc__.startswith("__init__(")
                    if made or member[0] != "_":
                        show(f"{name}.{member}", getattr(thing, member))
        ''')
    assert sorted(stub) == sorted(module.splitlines())


def test_example(python, root):
    out = python("", root / "examples/python/compare.py", root / "README.md")
    assert "hisi_zip-0 on node 0" in out and "blocks through hisi_zip-1" in out

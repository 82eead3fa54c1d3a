# SPDX-License-Identifier: Apache-2.0
"""Puts all mutants of a source file into one text, of which an environment variable chooses one at run time.

A mutant is one small fault: a check that is gone, a limit that is off by one, a call that is not made. With all of
them in one build ("mutant schemata", R. H. Untch and others, 1993) a run of thousands of mutants compiles once.
"""

import dataclasses
import re

from clang import cindex

CursorKind = cindex.CursorKind

# Calls whose absence no test can see, or only a test for deadlocks and races, which is the work of TSan and lockdep.
UNSEEN = re.compile(r"^(trace_|dev_(err|warn|info|dbg|notice)|pr_|WARN|BUG|might_|lockdep_|cond_resched|cpu_relax|"
                    r"(mutex|spin|read|write|down|up|raw_spin|rcu|srcu)_|.*(un)?lock|kfree_sensitive|prefetch|"
                    r"INIT_|init_|static_assert|MODULE_|EXPORT_|assert)")
# The operand to which a mutant adds one, so that the limit is off by one.
RELATIONS = {"<": "right", ">": "left", "<=": "left", ">=": "right"}
FUNCTIONS = {CursorKind.FUNCTION_DECL, CursorKind.CXX_METHOD, CursorKind.CONSTRUCTOR, CursorKind.DESTRUCTOR,
             CursorKind.FUNCTION_TEMPLATE, CursorKind.CONVERSION_FUNCTION}
NUMBERS = {cindex.TypeKind.BOOL, cindex.TypeKind.UCHAR, cindex.TypeKind.USHORT, cindex.TypeKind.UINT,
           cindex.TypeKind.ULONG, cindex.TypeKind.ULONGLONG, cindex.TypeKind.CHAR_S, cindex.TypeKind.SCHAR,
           cindex.TypeKind.SHORT, cindex.TypeKind.INT, cindex.TypeKind.LONG, cindex.TypeKind.LONGLONG}


@dataclasses.dataclass
class Mutant:
    """One mutant: what it changes, and where."""
    number: int
    path: str
    line: int
    kind: str
    text: str


@dataclasses.dataclass
class Wrap:
    """Text to insert around source[start:end], and the mutants that it serves."""
    start: int
    end: int
    before: str
    after: str
    depth: int
    mutants: list


def closing(source, start):
    """The index after the parenthesis that closes the one at @start; None if there is none."""
    depth = 0
    pieces = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//[^\n]*|/\*.*?\*/|[()]', re.S)
    for piece in pieces.finditer(source, start):
        depth += {"(": 1, ")": -1}.get(piece.group(), 0)
        if depth == 0:
            return piece.end()
    return None


class Schemata:
    """The mutants of one file. @first: the number of the first."""

    def __init__(self, path, name, arguments, first):
        self.source = path.read_text(encoding="utf-8")
        self.bytes = self.source.encode()
        if len(self.bytes) != len(self.source):
            # Offsets of libclang count bytes.
            self.source = self.bytes.decode("latin-1")
        self.name = name
        self.cplusplus = path.suffix == ".cpp"
        self.first = first
        self.next = first
        self.wraps = []
        self.dropped = set()
        unit = cindex.Index.create().parse(str(path), args=arguments)
        fatal = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Fatal]
        if fatal:
            raise RuntimeError(f"{name}: {fatal[0]}")
        for child in unit.cursor.get_children():
            if child.location.file and child.location.file.name == str(path):
                self.find_functions(child)

    def find_functions(self, node):
        """Looks for bodies of functions in @node."""
        if node.kind in FUNCTIONS:
            head = self.text(node)[:self.text(node).find("{")]
            if re.search(r"\b(constexpr|consteval)\b", head):
                return
            for child in node.get_children():
                if child.kind == CursorKind.COMPOUND_STMT:
                    self.visit(child, node, 0)
        elif node.kind in (CursorKind.NAMESPACE, CursorKind.CLASS_DECL, CursorKind.STRUCT_DECL,
                           CursorKind.LINKAGE_SPEC, CursorKind.UNEXPOSED_DECL):
            for child in node.get_children():
                self.find_functions(child)

    def text(self, node):
        return self.source[node.extent.start.offset:node.extent.end.offset]

    def new(self, node, kind, text):
        mutant = Mutant(self.next, self.name, node.extent.start.line, kind, " ".join(text.split())[:100])
        self.next += 1
        return mutant

    def wrap(self, start, end, before, after, depth, *mutants):
        self.wraps.append(Wrap(start, end, before, after, depth, list(mutants)))

    def visit(self, node, parent, depth):
        """Collects the mutants of a statement or expression, outside first."""
        kind = node.kind
        if kind in (CursorKind.CASE_STMT, CursorKind.DECL_STMT, CursorKind.INIT_LIST_EXPR, CursorKind.LAMBDA_EXPR,
                    CursorKind.VAR_DECL):
            children = list(node.get_children())
            if kind == CursorKind.CASE_STMT:
                children = children[1:]
            elif kind == CursorKind.VAR_DECL and (node.storage_class == cindex.StorageClass.STATIC
                                                  or "[" in self.text(node).split("=")[0]
                                                  or re.search(r"\bconstexpr\b", self.text(node))):
                return
            elif kind == CursorKind.INIT_LIST_EXPR and self.cplusplus:
                return
        else:
            children = list(node.get_children())
            if kind == CursorKind.IF_STMT:
                self.condition(node, depth)
            elif kind == CursorKind.BINARY_OPERATOR and len(children) == 2:
                self.operator(node, parent, children, depth)
            elif kind == CursorKind.INTEGER_LITERAL:
                self.constant(node, depth)
        if self.is_statement(parent, node):
            self.statement(node, parent, depth)
        for child in children:
            self.visit(child, node, depth + 1)

    def is_statement(self, parent, node):
        if parent.kind == CursorKind.COMPOUND_STMT:
            return True
        return parent.kind == CursorKind.IF_STMT and node != next(parent.get_children())

    def condition(self, node, depth):
        """A condition that always or never holds."""
        start = node.extent.start.offset
        found = re.match(r"if\s*\(", self.source[start:])
        if not found:
            return  # from a macro, or "if constexpr"
        start += found.end()
        end = closing(self.source, start - 1)
        if end is None or ";" in self.source[start:end] or (
                self.cplusplus and next(node.get_children()).kind == CursorKind.VAR_DECL):
            return
        text = self.source[start:end - 1]
        always = self.new(node, "condition always true", text)
        never = self.new(node, "condition never true", text)
        self.wrap(start, end - 1, f"wd_mutant({always.number}) || (!wd_mutant({never.number}) && (", "))", depth,
                  always, never)

    def operator(self, node, parent, operands, depth):
        """An operand that counts for nothing, a limit that is off by one, a sign that is wrong."""
        left, right = operands
        a, b = (left.extent.start.offset, left.extent.end.offset), (right.extent.start.offset, right.extent.end.offset)
        if not node.extent.start.offset <= a[0] <= a[1] <= b[0] <= b[1] <= node.extent.end.offset:
            return
        operation = self.source[a[1]:b[0]].strip()
        text = self.text(node)
        if operation in ("&&", "||"):
            for first, last in (a, b):
                mutant = self.new(node, f"operand of {operation} ignored", self.source[first:last])
                joint = "||" if operation == "&&" else "&&"
                negation = "" if operation == "&&" else "!"
                self.wrap(first, last, f"({negation}wd_mutant({mutant.number}) {joint} (", "))", depth, mutant)
            return
        numbers = all(o.type.get_canonical().kind in NUMBERS for o in operands)
        pointers = all(o.type.get_canonical().kind == cindex.TypeKind.POINTER for o in operands)
        if operation in RELATIONS and (numbers or pointers):
            mutant = self.new(node, f"{operation} off by one", text)
            operand = b if RELATIONS[operation] == "right" else a
            self.wrap(*operand, "((", f") + wd_mutant({mutant.number}))", depth, mutant)
        elif operation in ("==", "!=") and parent.kind not in (CursorKind.IF_STMT, CursorKind.BINARY_OPERATOR):
            mutant = self.new(node, f"{operation} negated", text)
            self.wrap(a[0], b[1], f"(wd_mutant({mutant.number}) != (", "))", depth, mutant)
        elif operation == "&" and numbers:
            mutant = self.new(node, "mask ignored", text)
            self.wrap(*b, "((", f") | (0 - (long)wd_mutant({mutant.number})))", depth, mutant)
        elif operation == "|" and numbers:
            mutant = self.new(node, "bits not set", text)
            self.wrap(*b, "((", f") * !wd_mutant({mutant.number}))", depth, mutant)
        elif operation in ("+", "-") and numbers:
            mutant = self.new(node, f"{operation} with the other sign", text)
            self.wrap(*b, f"((wd_mutant({mutant.number}) ? -1 : 1) * (", "))", depth, mutant)

    def constant(self, node, depth):
        text = self.text(node)
        if re.fullmatch(r"(0[xX][0-9a-fA-F]+|\d+)[uUlL]*", text):
            mutant = self.new(node, "constant plus one", self.line_of(node))
            self.wrap(node.extent.start.offset, node.extent.end.offset, "(", f" + wd_mutant({mutant.number}))", depth,
                      mutant)

    def line_of(self, node):
        return self.source.splitlines()[node.extent.start.line - 1].strip()

    def statement(self, node, parent, depth):
        """A call or an assignment that does not happen."""
        kinds = (CursorKind.CALL_EXPR, CursorKind.COMPOUND_ASSIGNMENT_OPERATOR, CursorKind.UNARY_OPERATOR,
                 CursorKind.BINARY_OPERATOR, CursorKind.UNEXPOSED_EXPR)
        start, end = node.extent.start.offset, node.extent.end.offset
        text = self.source[start:end]
        if node.kind not in kinds or self.source[end:end + 1] != ";" or UNSEEN.match(text):
            return
        if node.kind == CursorKind.UNEXPOSED_EXPR and not text.endswith(")"):
            return
        # Several statements in a macro have the place of the macro.
        if any((w.start, w.end) == (start, end + 1) for w in self.wraps):
            return
        mutant = self.new(node, "statement not run", text)
        bare = parent.kind == CursorKind.IF_STMT
        self.wrap(start, end + 1, ("{ " if bare else "") + f"if (!wd_mutant({mutant.number})) ", " }" if bare else "",
                  depth, mutant)

    def mutants(self):
        return [m for w in self.wraps if id(w) not in self.dropped for m in w.mutants]

    def drop_line(self, line):
        """Leaves out the mutants of @line, which do not compile. False if it has none."""
        found = [w for w in self.wraps if id(w) not in self.dropped and any(
            abs(m.line - line) <= 2 for m in w.mutants)]
        exact = [w for w in found if any(m.line == line for m in w.mutants)]
        self.dropped |= {id(w) for w in exact or found}
        return bool(found)

    def render(self):
        """The source with its mutants. Lines keep their numbers."""
        inserts = {}
        for wrap in self.wraps:
            if id(wrap) in self.dropped:
                continue
            inserts.setdefault(wrap.end, ([], []))[0].append((-wrap.depth, wrap.after))
            inserts.setdefault(wrap.start, ([], []))[1].append((wrap.depth, wrap.before))
        result = []
        last = 0
        for offset in sorted(inserts):
            result.append(self.source[last:offset])
            ends, starts = inserts[offset]
            result += [text for _, text in sorted(ends, key=lambda e: e[0])]
            result += [text for _, text in sorted(starts, key=lambda e: e[0])]
            last = offset
        result.append(self.source[last:])
        text = "".join(result)
        if len(self.bytes) != len(self.bytes.decode()):
            text = text.encode("latin-1").decode()
        return self.prefix() + text

    def prefix(self):
        """The switch. WD_MUTANT has the number of the mutant; the file descriptor WD_MUTANT_FD gets the
        numbers of the mutants that the run reaches."""
        count = max(1, self.next - self.first)
        c = 'extern "C" ' if self.cplusplus else "extern "
        throws = " noexcept" if self.cplusplus else ""
        boolean = "bool" if self.cplusplus else "_Bool"
        return (f'{c}char *getenv(const char *){throws}; {c}long write(int, const void *, unsigned long); '
                'static int wd_mutant_active, wd_mutant_fd; '
                f'static unsigned char wd_mutant_seen[{count}]; '
                'static int wd_mutant_number(const char *t) { int n = 0; '
                "if (t) for (; *t; t++) n = n * 10 + (*t - '0'); return n; } "
                '__attribute__((constructor)) static void wd_mutant_start(void) { '
                'wd_mutant_active = wd_mutant_number(getenv("WD_MUTANT")); '
                'wd_mutant_fd = wd_mutant_number(getenv("WD_MUTANT_FD")); } '
                f'__attribute__((noinline)) static void wd_mutant_note(int n) {{ if (!wd_mutant_seen[n - {self.first}]) '
                f'{{ wd_mutant_seen[n - {self.first}] = 1; (void)!write(wd_mutant_fd, &n, sizeof(n)); }} }} '
                f'__attribute__((unused)) static inline {boolean} wd_mutant(int n){throws} {{ '
                'if (__builtin_expect(wd_mutant_fd, 0)) wd_mutant_note(n); return wd_mutant_active == n; }\n'
                '#line 1\n')

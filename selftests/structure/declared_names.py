# SPDX-License-Identifier: Apache-2.0
"""Names that headers declare, and whether anybody needs them.

A file is cut into pieces: one macro, one function, one type, one variable. A piece declares names and
mentions others. A name is needed if a user of the headers mentions it, or a needed piece does. The sources
that implement the headers count as needed. But a piece of them that defines a name of a header is needed
only if that name is needed: the definition of a name is not a use of it.

Constants that belong together stay together, because a gap in a set of numbers misleads a reader. Such
sets are an enumeration, and object-like macros of numbers on consecutive lines (bits of a register, errno
values, sizes). Functions that one macro makes for several types are a set, too. If one member is needed,
all are.
"""

import re
from dataclasses import dataclass, field

COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
WORD = re.compile(r"(\.|->)?\s*\b([A-Za-z_]\w*)\b")
DEFINE = re.compile(r"\s*#\s*define\s+(\w+)(\([^)]*\))?(.*)", re.S)
ATTRIBUTES = {"__attribute__", "__printf", "__must_check", "__aligned", "__acquires", "__releases",
              "__must_hold", "__typeof__", "__alignof__", "alignas", "noexcept", "decltype", "operator"}
# An object-like macro of a number, or of other constants.
CONSTANT = re.compile(r"\(*\s*(~?\(*-?(0x[0-9a-fA-F]+|\d+)|[A-Z][A-Z0-9_]+\b)")


@dataclass
class Piece:
    """One definition or declaration: the names that it declares and mentions."""
    declares: set = field(default_factory=set)
    mentions: set = field(default_factory=set)
    members: set = field(default_factory=set)  # names after . and ->
    prefixes: set = field(default_factory=set)  # PREFIX_ of PREFIX_##argument
    together: tuple = ()  # identifies the set to which the piece belongs
    start: int = 0
    end: int = 0


def blank(match):
    """A comment or literal as white space of the same length, so that positions stay."""
    return re.sub(r"[^\n]", " ", match.group(0))


def words(text):
    """Names in @text, and those of members in it."""
    found, members = set(), set()
    for access, name in WORD.findall(text):
        (members if access else found).add(name)
    if "bool" in found:
        found.add("_Bool")  # <stdbool.h> makes this of "bool" before ## gets the argument
    return found, members


def macro_piece(text, start, end):
    match = DEFINE.match(text)
    name, arguments, body = match.groups()
    piece = Piece({name}, start=start, end=end)
    own = set(re.findall(r"\w+", arguments or ""))
    piece.mentions, piece.members = words(body)
    piece.mentions -= own | {name}
    piece.prefixes = set(re.findall(r"(\w+_)\s*##", body)) - own
    if arguments is None and CONSTANT.match(body.strip()):
        piece.together = ("macros",)
    return piece, (name, [a.strip() for a in (arguments or "()")[1:-1].split(",")], body)


def function_name(head):
    """The name before the first parenthesis that is not part of an attribute. @head ends before the body."""
    depth, last = 0, None
    for token in re.finditer(r"\w+|[(){}]", head):
        text = token.group(0)
        if text == "(":
            if depth == 0 and last and last not in ATTRIBUTES:
                return last
            depth += 1
        elif text == ")":
            depth -= 1
        elif depth == 0:
            last = text
        if text == ")" and depth == 0:
            last = None
    return None


def declared_names(text):
    """Names that the declaration or definition @text declares, and whether it is an enum."""
    names, is_enum = set(), False
    for tag in re.finditer(r"\b(struct|union|enum)\s+(?:class\s+)?(\w+)\s*(?=[{;:])", text.split("(")[0]):
        names.add(tag.group(2))
        break
    head = text.split("{")[0]
    if re.match(r"\s*enum\b", text) and "{" in text:
        is_enum = True
        for item in text[text.index("{") + 1:text.rindex("}")].split(","):
            match = re.match(r"\s*(\w+)", item)
            if match:
                names.add(match.group(1))
    elif re.match(r"\s*typedef\b", text):
        match = re.search(r"\(\s*\*\s*(\w+)\s*\)\s*\(", text) or \
            re.search(r"(\w+)\s*(?:\[[^]]*\])?\s*(?:__attribute__\s*\(.*\))?\s*;\s*$", text, re.S)
        if match:
            names.add(match.group(1))
        else:
            names.add(function_name(text))
    elif not names:
        before = re.split(r"=(?!=)", head)[0]
        name = function_name(before)
        if name is None:
            # Variables: the last word of each part.
            for part in before.split(",") if re.search(r"\w\W+\w", before) else ():
                match = re.search(r"(\w+)\s*(?:\[[^]]*\]\s*)*(?:__attribute__.*)?;?\s*$", part, re.S)
                if match:
                    names.add(match.group(1))
        else:
            names.add(name)
    return names, is_enum


def cut(text):
    """(start, end) of the pieces of @text outside of macros. Comments must be blank already."""
    at, depth, begin = 0, 0, None
    for match in re.finditer(r'\bextern\s*\{|\b(?:inline\s+)?namespace\b[^;{=]*\{|WD_BEGIN_DECLS|WD_END_DECLS|[{};]|\S', text):
        token = match.group(0)
        if depth == 0 and (token.endswith("{") and len(token) > 1 or token.startswith("WD_")):
            begin = None
            if token.startswith("WD_"):
                yield match.start(), match.end()
            continue
        if depth == 0 and begin is None:
            if token in "};":
                continue
            begin = match.start()
        if token.endswith("{"):
            depth += 1
        elif token == "}":
            depth -= 1
        done = depth == 0 and token in "};"
        if done and token == "}":
            whole = text[begin:match.end()]
            head = whole.split("{")[0]
            function = "(" in head and not re.search(r"(?<![=!<>])=(?!=)", head) and \
                not re.match(r"\s*(typedef|struct\s+\w*\s*$|union|enum)", head)
            done = function
        if done:
            yield begin, match.end()
            begin = None
        at = match.end()
    if begin is not None:
        yield begin, at


def expand(invocation, macros):
    """The text that a macro with ## makes at the top of a file, or None."""
    match = re.match(r"\s*(\w+)\s*\((.*)\)\s*$", invocation, re.S)
    if not match or match.group(1) not in macros:
        return None
    arguments, body = macros[match.group(1)]
    if "##" not in body:
        return None
    for name, value in zip(arguments, match.group(2).split(",")):
        body = re.sub(rf"\b{re.escape(name)}\b", value.strip(), body)
    return re.sub(r"\s*##\s*", "", body).replace("\\\n", "\n")


def pieces_of(source, macros=None):
    """The pieces of a file. @macros: macros known so far; those of this file are added."""
    macros = {} if macros is None else macros
    text = COMMENT.sub(blank, source)
    pieces, code, at, last_end, run = [], [], 0, -1, 0
    for line in re.finditer(r"(?:[^\n]*\\\n)*[^\n]*\n?", text):
        part = line.group(0)
        if not part:
            continue
        if not re.match(r"\s*#", part):
            # The call of a macro that makes functions stands alone, without a semicolon.
            made = re.match(r"[A-Za-z_]\w*\([^{};]*\)\s*$", part) and expand(part, macros)
            if made:
                maker = re.match(r"\w+", part).group(0)
                for number, piece in enumerate(pieces_of(made, {})):
                    piece.declares -= macros.keys()
                    piece.start, piece.end = line.start(), line.end()
                    piece.mentions.add(maker)
                    piece.together = ("made", maker, number)
                    pieces.append(piece)
                part = re.sub(r"[^\n]", " ", part)
            code.append(part)
            continue
        code.append(re.sub(r"[^\n]", " ", part))
        if DEFINE.match(part):
            piece, macro = macro_piece(part, line.start(), line.end())
            guard = re.search(rf"#\s*ifndef\s+{macro[0]}\s*$", text[:line.start()].rstrip()[-200:], re.M)
            if guard and not macro[2].strip():
                continue
            macros[macro[0]] = macro[1:]
            # A set of constants: consecutive lines.
            run += line.start() != last_end
            last_end = line.end()
            piece.together = piece.together and ("macros", run)
            pieces.append(piece)
        elif not re.match(r"\s*#\s*(include|pragma|undef|error)", part):
            piece = Piece(start=line.start(), end=line.end())
            piece.mentions = words(part)[0]
            if not re.match(r"\s*#\s*(ifndef|ifdef|endif|else)", part):
                pieces.append(piece)
    code = "".join(code)
    for start, end in cut(code):
        part = code[start:end]
        piece = Piece(start=start, end=end)
        piece.declares, is_enum = declared_names(part)
        piece.declares -= macros.keys()  # DEFINE_MUTEX(x) uses that macro and does not declare it
        piece.mentions, piece.members = words(part)
        piece.mentions -= piece.declares
        if is_enum:
            piece.together = ("enum", start)
        pieces.append(piece)
    return pieces


class Headers:
    """The names that @headers declare, each with its pieces. Both arguments are {path: text}."""

    def __init__(self, headers, sources):
        self.macros = {}
        for text in headers.values():
            pieces_of(text, self.macros)
        self.where = {}  # name: paths of the headers that declare it
        self.sets = {}
        self.behind = {}
        self.always = []
        for path, text in headers.items():
            for piece in pieces_of(text, self.macros):
                for name in piece.declares:
                    self.where.setdefault(name, set()).add(path)
                    self.behind.setdefault(name, []).append(piece)
                if not piece.declares:
                    self.always.append(piece)
                if piece.together:
                    # Only a set that a macro makes may span files.
                    key = (path if piece.together[0] != "made" else "", *piece.together)
                    self.sets.setdefault(key, set()).update(piece.declares)
        self.values = {name for name, (arguments, _) in self.macros.items() if arguments == [""]}
        for text in sources.values():
            for piece in pieces_of(text, dict(self.macros)):
                implements = piece.declares & self.where.keys()
                for name in implements:
                    self.behind[name].append(piece)
                if not implements:
                    self.always.append(piece)

    def needed(self, users):
        """The names that the texts @users need."""
        start = Piece()
        for text in users:
            found, members = words(COMMENT.sub(blank, text))
            start.mentions |= found
            start.members |= members
        needed = self.reach([start, *self.always])
        kept = set().union(*(names for names in self.sets.values() if names & needed))
        return self.reach([start, *self.always, *(p for name in kept for p in self.behind[name])]) | kept

    def reach(self, pieces):
        needed, mentioned, prefixes, seen = set(), set(), set(), set()
        pieces = list(pieces)
        while pieces:
            piece = pieces.pop()
            fresh = set()
            if id(piece) not in seen:
                seen.add(id(piece))
                mentioned |= piece.mentions
                prefixes |= piece.prefixes
                fresh = (piece.mentions | piece.members & self.values) & self.where.keys() - needed
            if not pieces and not fresh:
                # PREFIX_##argument
                fresh = {n for n in self.where.keys() - needed for p in prefixes
                         if n.startswith(p) and n[len(p):] in mentioned}
            needed |= fresh
            pieces += [p for name in fresh for p in self.behind[name]]
        return needed


def never_included(headers, users):
    """Paths of @headers that no text of @users includes, directly or through others of them."""
    include = re.compile(r'^\s*#\s*include(?:_next)?\s*[<"]([^>"]+)[>"]', re.M)
    todo, seen = list(users), set()
    while todo:
        for path in set(include.findall(todo.pop())) & headers.keys() - seen:
            seen.add(path)
            todo.append(headers[path])
    return sorted(headers.keys() - seen)

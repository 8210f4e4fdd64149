"""Names of C++ from names in a file."""

import re

_KEYWORDS = frozenset(
    "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t "
    "char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr "
    "constinit continue decltype default delete do double dynamic_cast else enum explicit export "
    "extern false final float for friend goto if import inline int long module mutable namespace "
    "new noexcept not not_eq nullptr operator or or_eq override private protected public register "
    "reinterpret_cast requires return short signed sizeof static static_assert static_cast struct "
    "switch template this thread_local throw true try typedef typeid typename union unsigned using "
    "virtual void volatile wchar_t while xor xor_eq".split()
)
_LONGEST = 60
# Names of C and macros, those of Arduino among them.
_TAKEN = frozenset(
    "edgeax std main errno linux unix arm stdin stdout stderr assert F I "
    "abs bit constrain degrees interrupts max min radians round sq word".split()
)
# What the C library declares for everybody and a namespace cannot be called.
_FUNCTIONS = frozenset(
    "abort acos asin atan atof atoi calloc ceil clock close cos cosh div exit exp fabs fclose "
    "floor fmod fopen fork free frexp gamma getc getenv gets index j0 j1 jn kill labs ldexp ldiv "
    "link log log10 malloc modf open pause perror pipe pow printf putc puts qsort raise rand read "
    "random realloc remove rename rewind scanf select sin sinh sleep socket sqrt srand strlen "
    "system tan tanh tmpfile ungetc unlink write y0 y1 yn".split()
)
# Headers that a file of the same name would hide.
_HEADERS = frozenset(
    "alloca assert complex ctype endian errno features fenv float inttypes iso646 limits locale "
    "malloc math memory poll pthread sched setjmp signal stdalign stdarg stdatomic stdbool stddef "
    "stdint stdio stdlib stdnoreturn string strings test_vectors tgmath threads time uchar unistd "
    "wchar wctype".split()
)
# Targets that CMake and Make have already.
_TARGETS = frozenset(
    "all build clean depend edit_cache help install list_install_components package package_source "
    "preinstall rebuild_cache run_tests test zero_check".split()
)


def check_name(name: str) -> None:
    """Checks the name that a user gives to a program: it becomes a namespace and file names.

    Raises:
        ValueError: It cannot be one.
    """
    text = str(name)
    fits = re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", text)
    if not fits or program_name(text) != name:
        raise ValueError(
            "`name` must be a C++ name of letters, digits and single underscores inside that "
            "begins with a letter, and none of a macro, header or target of others. Received: "
            f"{name!r}. Use one such as {program_name(text)!r}."
        )


def program_name(text: str) -> str:
    """Returns a name that `check_name` takes, as close to a text as can be.

    Example: `program_name("time")` is "time_0": `time.h` would hide another file.
    """
    name = identifier(text, "model")
    is_taken = name.lower() in _HEADERS | _TARGETS or name in _FUNCTIONS
    return f"{name}_0" if is_taken else name


def identifier(text: str, default: str) -> str:
    """Returns a name of C++ that is no keyword, macro or type, as close to a text as can be.

    Args:
        text: Any text.
        default: What stands for a text without letters and digits, and before one that begins
            with a digit.

    Example: `identifier("serving_default_x:0", "input")` is "serving_default_x_0".
    """
    words = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    if not words or words[0].isdigit():
        words = f"{default}_{words}".rstrip("_")
    if len(words) > 1 and words == words.upper():  # as macros are written
        words = words.lower()
    is_taken = words.endswith("_t") or words in _KEYWORDS or words in _TAKEN
    return f"{words}_0" if is_taken else words


def unique(names: list[str], taken: set[str]) -> list[str]:
    """Returns the same names with numbers behind those that stand in `taken` or came before."""
    seen = set(taken)
    result = []
    for name in names:
        chosen, count = name, 1
        while chosen in seen:
            count += 1
            chosen = f"{name}_{count}"
        seen.add(chosen)
        result.append(chosen)
    return result


def comment(text: str) -> str:
    """Returns a text, shortened, as it may stand in a comment of one line."""
    return "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in short(text))


def short(text: str) -> str:
    """Returns the beginning of a text: names of fused operators list all that went into them."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."

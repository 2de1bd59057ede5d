"""What the handler of the second part takes for a good record.

A rule that foresees a fault raises Rejected; the handler reports that record.
A fault that no rule foresees is a crash of the handler, as in real life: titles
that are numbers, for which nobody wrote a rule.
"""

MONTHS = {name: i + 1 for i, name in enumerate(
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}
# The newest film of the set is of 2011. What claims to be later is of the century
# before, its year once written with two digits.
LAST_YEAR = 2011


class Rejected(Exception):
    """The record is at fault, and it is known why."""


def check_movie(movie):
    """The row that is to be stored for a movie."""
    title = movie["Title"].strip()  # crashes where the title is no text
    for field in ("US Gross", "Worldwide Gross"):
        if not isinstance(movie[field], (int, float)):
            raise Rejected(f"{field} is not a number")
    try:
        month, day, year = movie["Release Date"].split()
        date = (int(year), MONTHS[month], int(day))
    except (ValueError, KeyError, AttributeError):
        raise Rejected("the release date is not a date") from None
    if date[0] > LAST_YEAR:
        raise Rejected(f"year of release after {LAST_YEAR}")
    return {"title": title, "date": "%04d-%02d-%02d" % date, "gross": movie["Worldwide Gross"]}


def check_log_line(record):
    """The row that is to be stored for a line of dpkg's log."""
    date, time, action, *rest = record["line"].split(" ")
    if action == "status":
        state, package, version = rest  # crashes where there is another number of words
        return {"time": f"{date}T{time}", "package": package, "version": version, "is": state}
    if action == "startup":
        raise Rejected("no package is named")
    package, old, new = rest
    if new == "<none>" and action != "configure" and action != "trigproc":
        raise Rejected(f"{action} to no version")
    return {"time": f"{date}T{time}", "package": package, "version": new, "is": action}


def name_movie(movie):
    """A movie in a few words, for people."""
    return f"{movie['Title']}, {movie['Release Date']}"


RULES = {"movies": check_movie, "log": check_log_line}
NAMES = {"movies": name_movie, "log": lambda record: record["line"]}

"""What tasks may import of the domain: its rooms, never its command line."""

import re
from pathlib import Path

import tasks


def test_no_task_imports_the_command_line():
    imports = re.compile(r"^(from|import) perennial\.cli\b", re.MULTILINE)
    paths = Path(tasks.__path__[0]).glob("*.py")
    assert [path.name for path in paths if imports.search(path.read_text())] == []

"""Write profiles/profile.schema.json from the types of `spec`."""

from pathlib import Path

from perftool.sweep.profile import schema_text

if __name__ == "__main__":
    (Path(__file__).parent.parent / "profiles" / "profile.schema.json").write_text(
        schema_text(), encoding="utf-8"
    )

"""What the benches print: figures, with what each must not exceed."""
import json


class Figures:
    """The figures of one run."""

    def __init__(self):
        self.rows = []

    def add(self, name, value, unit, bar=None, of=None):
        """One figure; `bar` is what it must not exceed, `of` what it is a ratio to."""
        self.rows.append({"name": name, "value": round(value, 3), "unit": unit, "bar": bar, "beside": of,
                          "ok": bar is None or value <= bar})

    def show(self, as_json):
        """Prints them, as a table or as JSON."""
        if as_json:
            print(json.dumps({"figures": self.rows}, indent=2))
            return
        for row in self.rows:
            bar = "" if row["bar"] is None else f"  (at most {row['bar']} {row['unit']}{'' if row['ok'] else ': MISSED'})"
            beside = f" of {row['beside']}" if row["beside"] else ""
            print(f"{row['name']:<48} {row['value']:>10.2f} {row['unit']}{beside}{bar}")

    def exit_code(self):
        """1 if a bar is missed."""
        return 0 if all(row["ok"] for row in self.rows) else 1

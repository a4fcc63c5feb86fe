"""Start the studio: `python app.py`, then open http://127.0.0.1:7860."""

from ui.studio import command

if __name__ == "__main__":
    command()

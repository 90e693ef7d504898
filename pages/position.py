"""Position: open one, evaluate it, approve, record fills, and everything it holds."""

from volbal.ui import acting, cockpit, opening

with acting.records("Position") as database:
    opening.arrive()
    chosen = cockpit.choose(database)
    acting.show_said()
    if chosen is None:
        opening.draw(database)
    else:
        cockpit.draw(database, chosen)

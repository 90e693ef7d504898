"""Overview: every position at the newest price, what needs a look first."""

import streamlit as st

from volbal.services import sample
from volbal.services.overview import overview
from volbal.ui import acting, portfolio

st.title("Overview")
with acting.records() as database:
    acting.show_said()
    sample.finish_removal(database)
    found = overview(database, acting.now())
    if found.open or found.archived:
        portfolio.draw(database, found)
    else:
        portfolio.welcome(database)

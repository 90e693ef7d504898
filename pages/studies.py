"""Studies: all of them with where they stand; open, run again, copy, delete, annotate, compare."""

from pathlib import Path

import streamlit as st

from volbal.services import studies
from volbal.services.running import Database
from volbal.ui import acting, study_list

OPTIMIZE = Path(__file__).with_name("optimize.py")


def draw(database: Database) -> None:
    """The list, and the chosen studies below it."""
    known = studies.list_studies(database)
    if not known:
        with st.container(border=True):
            st.subheader("No studies yet")
            st.markdown(
                "A study simulates every combination of the parameters you choose and ranks them. "
                "Optimize has an example filled in that takes about a second."
            )
            st.page_link(OPTIMIZE, label="Open Optimize", icon=":material/grid_on:")
        return
    st.caption("Tick one to run it again, copy, rename or delete it; tick several to compare.")
    study_list.table(database, known)
    chosen = [study for study in reversed(known) if study.study_id in study_list.picked()]
    if len(chosen) == 1:
        study_list.details(database, chosen[0])
    elif chosen:
        study_list.compare(database, chosen)
    study_list.confirm(database, known)


st.title("Studies")
acting.show_said()
with acting.records() as database:
    draw(database)

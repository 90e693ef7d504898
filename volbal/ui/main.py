"""Entry script of the screens: page set-up and navigation.

It does not lie beside pages/, or Streamlit would discover that folder by itself as well.
"""

from pathlib import Path

import streamlit as st

PAGES = Path(__file__).resolve().parents[2] / "pages"

st.set_page_config(
    page_title="volbal",
    page_icon=":material/balance:",
    layout="wide",
    initial_sidebar_state=340,
)
st.navigation(
    [
        st.Page(
            PAGES / "simulate.py", title="Simulate", icon=":material/show_chart:", default=True
        ),
        st.Page(PAGES / "optimize.py", title="Optimize", icon=":material/grid_on:"),
    ],
    position="top",
).run()

"""Entry script of the screens: page set-up and navigation.

It does not lie beside pages/, or Streamlit would discover that folder by itself as well.
"""

from pathlib import Path

import streamlit as st

HERE = Path(__file__).resolve().parent
PAGES = HERE.parents[1] / "pages"

st.set_page_config(
    page_title="volbal",
    page_icon=str(HERE / "icon.png"),
    layout="wide",
    initial_sidebar_state=340,
)
st.logo(str(HERE / "logo.svg"), icon_image=str(HERE / "icon.png"), size="medium")
st.navigation(
    [
        st.Page(
            PAGES / "simulate.py", title="Simulate", icon=":material/show_chart:", default=True
        ),
        st.Page(PAGES / "optimize.py", title="Optimize", icon=":material/grid_on:"),
    ],
    position="top",
).run()

"""Entry script of the screens: page set-up and navigation.

It does not lie beside pages/, or Streamlit would discover that folder by itself as well.
"""

from pathlib import Path

import streamlit as st

from volbal.ui import acting

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
    {
        "Portfolio": [
            st.Page(
                PAGES / "overview.py", title="Overview", icon=":material/dashboard:", default=True
            ),
            st.Page(PAGES / "position.py", title="Position", icon=":material/balance:"),
            st.Page(PAGES / "timeline.py", title="Timeline", icon=":material/history:"),
            st.Page(PAGES / "dividends.py", title="Dividends", icon=":material/payments:"),
            st.Page(PAGES / "compare.py", title="Compare", icon=":material/compare:"),
        ],
        "Research": [
            st.Page(PAGES / "simulate.py", title="Simulate", icon=":material/show_chart:"),
            st.Page(PAGES / "optimize.py", title="Optimize", icon=":material/grid_on:"),
            st.Page(PAGES / "studies.py", title="Studies", icon=":material/science:"),
        ],
        "Data": [
            st.Page(PAGES / "data.py", title="Data", icon=":material/candlestick_chart:"),
            st.Page(PAGES / "sql.py", title="SQL", icon=":material/database:"),
        ],
    },
    position="top",
).run()
acting.drawn()

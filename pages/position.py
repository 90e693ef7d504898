import streamlit as st

st.title("Position")

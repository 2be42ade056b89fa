"""
Relight a capture
=================
"""
# %%
print(1)

"""Models as files that run no code when they are read: :func:`save_model` and :func:`load_model`."""





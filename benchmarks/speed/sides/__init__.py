"""The sides: functions that build what they need from a folder and return what is timed.

Each is called as ``side(folder, tol, **options)`` and returns a function of nothing, whose dict holds the answer under
"value", and what is known of it: "steps" (applications of the Hessian), "residual", "seconds" where only a part of the
call counts, and "after", a function that is called when the clock has stopped and adds to the facts.
"""

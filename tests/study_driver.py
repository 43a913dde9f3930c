"""A process to be killed: `study_driver.py FUNCTION ...`, then what follows `assembly`, or `run TOML FOLDER WORKERS`.

FUNCTION of study_points takes the place of the real measurement. `run` leaves out the report.
"""

import sys
import types

import study_points

if __name__ == "__main__":
    function = getattr(study_points, sys.argv.pop(1))
    if sys.argv[1] == "run":
        from assembly.study.reading import load
        from assembly.study.runner import run_study

        result = run_study(load(sys.argv[2]), sys.argv[3], int(sys.argv[4]), function=function)
        print(result.n_reused, result.n_computed, len(result.failures))
    else:
        module = types.ModuleType("assembly.study.measure")
        module.measure, module.build = function, study_points.is_not_built
        sys.modules["assembly.study.measure"] = module
        from assembly.cli import main

        main()

"""The flights that left New York in 2013, and a model of their delays that mlops_dagster looks after."""

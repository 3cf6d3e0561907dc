from mlops_dagster.predictions import audit


def test_nothing_recorded_is_complete(spool, log):
    report = audit(spool, log)
    assert (report.complete, report.processes, report.answered) == (True, (), 0)


def test_what_is_logged_and_what_waits_add_up(spool, log, record):
    spool.append([record(0), record(0, role="shadow"), record(1, process="process-2"), record(2, model="other")])
    log.ship(spool)
    spool.append([record(3), record(4, role="none"), record(4, role="paired")])
    report = audit(spool, log)
    assert report.complete
    assert (report.answered, report.logged, report.spooled) == (5, 3, 2)
    first, second = report.processes
    assert (first.process, first.recorded, first.logged, first.spooled) == ("process-1", 6, 3, 3)
    assert (second.process, second.recorded, second.logged, second.spooled) == ("process-2", 1, 1, 0)


def test_what_was_appended_but_not_yet_noted_as_shipped_counts_once(spool, log, record):
    spool.append([record(0), record(1)])
    log._append(spool.id, spool.read(0))
    report = audit(spool, log)
    assert (report.complete, report.logged, report.spooled) == (True, 2, 0)


def test_lost_records_are_named_by_process_and_number(spool, log, record):
    spool.append([record(number) for number in range(10)])
    with spool._file.writing() as connection:
        connection.execute("DELETE FROM entries WHERE number IN (1, 4, 5, 10)")
    log.ship(spool)
    report = audit(spool, log)
    assert not report.complete
    assert report.gaps == (("process-1", 1, 1), ("process-1", 4, 5), ("process-1", 10, 10))
    assert (report.answered, report.logged) == (10, 6)


def test_a_record_that_is_in_the_log_twice_is_found(spool, log, record):
    spool.append([record(0), record(1)])
    log.ship(spool)
    log._append("as if it were another spool", spool.read(1))
    report = audit(spool, log)
    assert (report.complete, report.gaps, report.processes[0].twice) == (False, (), 1)

from edgeax.formats.memory import peak_bytes


def test_a_chain_holds_the_input_and_output_of_its_largest_step():
    sizes = {0: 10, 1: 30, 2: 5, 3: 20}
    assert peak_bytes(sizes, [([0], [1]), ([1], [2]), ([2], [3])], [0], [3]) == 40


def test_a_shortcut_lives_until_it_is_added():
    # 0 -> 1 -> 2, then 0 + 2 -> 3: at the middle step 0, 1 and 2 live.
    sizes = {0: 10, 1: 10, 2: 10, 3: 10}
    steps = [([0], [1]), ([1], [2]), ([0, 2], [3])]
    assert peak_bytes(sizes, steps, [0], [3]) == 30


def test_an_output_lives_to_the_end_and_an_unread_result_for_one_step():
    steps = [([0], [1, 2]), ([1], [3]), ([3], [4])]
    assert peak_bytes({0: 1, 1: 1, 2: 100, 3: 1, 4: 1}, steps, [0], [4]) == 102
    assert peak_bytes({0: 1, 1: 1, 2: 1, 3: 50, 4: 60}, steps, [0], [2, 4]) == 111


def test_constants_and_absent_tensors_do_not_count():
    assert peak_bytes({0: 4, 2: 3}, [([0, 1, -1], [2])], [0], [2]) == 7


def test_a_graph_without_steps_holds_its_inputs():
    assert peak_bytes({0: 4, 1: 3}, [], [0, 1], [0]) == 7


def test_an_input_that_nothing_reads_lives_at_the_first_step():
    assert peak_bytes({0: 4, 1: 3, 2: 2}, [([1], [2]), ([2], [3])], [0, 1], [2]) == 9

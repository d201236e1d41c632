"""What a prior added to maps, judged by the half that it did not see; maps of any program, or particles."""

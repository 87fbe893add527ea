"""What a batch would do, take and cost, from its items alone: nobody is called, and nothing is stored."""

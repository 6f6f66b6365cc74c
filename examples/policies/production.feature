Feature: production keysets keep their messages

    Scenario: a production keyset says for how long
        Given I have pubnub_keyset defined
        When its type is production
        Then it must have messagePersistence
        And it must have retention
        And its value must be greater than 29

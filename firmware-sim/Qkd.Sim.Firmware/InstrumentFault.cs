namespace Qkd.Sim.Firmware;

/// <summary>How an emulated instrument misbehaves on its wire.</summary>
public enum InstrumentFault
{
    /// <summary>It behaves.</summary>
    None = 0,

    /// <summary>It takes what is sent and says nothing more, not even unasked: firmware that hangs.</summary>
    Silent = 1,

    /// <summary>It sends bytes that mean nothing in place of its answers.</summary>
    Garbage = 2,

    /// <summary>Connections are dropped and none is kept: a cable pulled.</summary>
    Disconnect = 3,

    /// <summary>It answers correctly but late, by the delay in its settings.</summary>
    Late = 4,

    /// <summary>It sends the first half of each answer and then nothing.</summary>
    HalfAnswer = 5,

    /// <summary>
    /// Its stream goes on in the right form, records of the right size in the right order, with random numbers in them; its answers stay as they
    /// are. An instrument without a stream of records behaves.
    /// </summary>
    RandomRecords = 6,
}

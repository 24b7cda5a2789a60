using Microsoft.Extensions.Logging;
using Qkd.Sim.Firmware;
using Qkd.Sim.Optics;

namespace Qkd.Sim.Bench;

internal static partial class Log
{
    [LoggerMessage(7200, LogLevel.Information, "Emulated {Instrument} ({Driver}) listens at {Address}")]
    public static partial void Listens(ILogger logger, string instrument, string driver, string address);

    [LoggerMessage(7201, LogLevel.Information, "Light leaves the emulated transmitter, slot {Slot}, at {BenchSeconds:F3} s of bench time")]
    public static partial void Light(ILogger logger, long slot, double benchSeconds);

    [LoggerMessage(7202, LogLevel.Information, "No light leaves the emulated transmitter since {BenchSeconds:F3} s of bench time")]
    public static partial void Dark(ILogger logger, double benchSeconds);

    [LoggerMessage(7203, LogLevel.Warning, "The emulated transmitter had no symbol for slot {Slot}: underrun")]
    public static partial void Underrun(ILogger logger, long slot);

    [LoggerMessage(7204, LogLevel.Warning, "Eavesdropper: {Kind}, on {Fraction:P1} of the pulses")]
    public static partial void Eavesdropper(ILogger logger, EavesdropperKind kind, double fraction);

    [LoggerMessage(7205, LogLevel.Warning, "Fault of emulated {Instrument}: {Fault}")]
    public static partial void Fault(ILogger logger, string instrument, InstrumentFault fault);

    [LoggerMessage(7206, LogLevel.Warning, "The machine is too small for this bench in real time: bench time is {LostSeconds:F2} s behind the wall's")]
    public static partial void Behind(ILogger logger, double lostSeconds);

    [LoggerMessage(7207, LogLevel.Critical, "The emulated light path has failed; bench time stands still")]
    public static partial void Failed(ILogger logger, Exception failure);
}

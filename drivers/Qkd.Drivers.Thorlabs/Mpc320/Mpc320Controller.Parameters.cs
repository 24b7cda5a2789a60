using System.Globalization;
using Qkd.Devices.Drivers;
using Qkd.Drivers.Thorlabs.Apt;

namespace Qkd.Drivers.Thorlabs.Mpc320;

/// <content>The parameters by name.</content>
public sealed partial class Mpc320Controller
{
    private const double LeastVelocityPercent = 10;
    private const double FullVelocityPercent = 100;

    private readonly PaddleParameters[] _paddles;
    private readonly CommonParameters _common;

    private PaddleParameters AddPaddleParameters(int paddle)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"paddle_{paddle + 1}");
        return new(
            AddParameter(
                $"{name}_angle",
                "deg",
                async token => ToDegrees((await ReadStatusAsync(paddle, token).ConfigureAwait(false)).Position),
                (degrees, token) => MovePaddleAsync(paddle, degrees, token),
                0,
                FullTravelDegrees),
            AddParameter($"{name}_homed", "", async token => (await ReadStatusAsync(paddle, token).ConfigureAwait(false)).Homed),
            AddParameter(
                $"{name}_current", "mA", async token => (double)(await ReadStatusAsync(paddle, token).ConfigureAwait(false)).CurrentMilliamperes),
            AddParameter($"{name}_status", "", async token => (long)(await ReadStatusAsync(paddle, token).ConfigureAwait(false)).Bits));
    }

    private CommonParameters AddCommonParameters() => new(
        AddParameter("enabled", "", IsEnabledAsync, SetEnabledAsync),
        AddParameter(
            "velocity",
            "%",
            async token => (double)(await ReadPolarizerParametersAsync(token).ConfigureAwait(false)).VelocityPercent,
            (percent, token) => ChangePolarizerParametersAsync(
                "setting the velocity", present => present with { VelocityPercent = (ushort)Math.Round(percent) }, token),
            LeastVelocityPercent,
            FullVelocityPercent),
        AddAngle("home_angle", values => values.HomeOffset, (values, counts) => values with { HomeOffset = counts }),
        AddAngle("paddle_1_jog_step", values => values.JogStep1, (values, counts) => values with { JogStep1 = counts }),
        AddAngle("paddle_2_jog_step", values => values.JogStep2, (values, counts) => values with { JogStep2 = counts }),
        AddAngle("paddle_3_jog_step", values => values.JogStep3, (values, counts) => values with { JogStep3 = counts }));

    private DeviceParameter<double> AddAngle(
        string name, Func<AptPolarizerParameters, ushort> read, Func<AptPolarizerParameters, ushort, AptPolarizerParameters> change) =>
        AddParameter(
            name,
            "deg",
            async token => ToDegrees(read(await ReadPolarizerParametersAsync(token).ConfigureAwait(false))),
            (degrees, token) => ChangePolarizerParametersAsync(
                $"setting {name}", present => change(present, (ushort)ToCounts(degrees)), token),
            0,
            FullTravelDegrees);

    private sealed record PaddleParameters(
        DeviceParameter<double> Angle, DeviceParameter<bool> Homed, DeviceParameter<double> Current, DeviceParameter<long> Status)
    {
        public void Note(AptMotorStatus status)
        {
            Angle.Note(ToDegrees(status.Position));
            Homed.Note(status.Homed);
            Current.Note(status.CurrentMilliamperes);
            Status.Note((uint)status.Bits);
        }
    }

    private sealed record CommonParameters(
        DeviceParameter<bool> Enabled,
        DeviceParameter<double> Velocity,
        DeviceParameter<double> Home,
        DeviceParameter<double> Jog1,
        DeviceParameter<double> Jog2,
        DeviceParameter<double> Jog3)
    {
        public void Note(AptPolarizerParameters values)
        {
            Velocity.Note(values.VelocityPercent);
            Home.Note(ToDegrees(values.HomeOffset));
            Jog1.Note(ToDegrees(values.JogStep1));
            Jog2.Note(ToDegrees(values.JogStep2));
            Jog3.Note(ToDegrees(values.JogStep3));
        }
    }
}
